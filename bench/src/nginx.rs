//! nginx in front of the same upstream, as one would set it up for this: one worker, kept connections, no log.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{hub, machine::Process};

/// Starts it in a folder of its own.
pub(crate) fn start(dir: &Path, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    fs::create_dir_all(dir)?;
    let (dir, config) = (dir.display(), dir.join("nginx.conf"));
    let text = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log error;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on; keepalive_requests 100000000;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  map $http_upgrade $connection_header {{ default upgrade; '' ''; }}
  upstream backend {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Connection $connection_header; proxy_set_header Upgrade $http_upgrade;
    }}
  }}
}}
"
    );
    fs::write(&config, text)?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c"]).arg(&config).stdin(Stdio::null());
    let mut process = Process::spawn(&mut command).context("nginx is needed beside the hub: apt-get install nginx")?;
    hub::wait("nginx", || {
        process.check()?;
        Ok(TcpStream::connect(listen).is_ok().then_some(()))
    })?;
    Ok((process, listen))
}
