//! `reef setup`: makes the first owner without a browser. Only over the local socket, where the caller is known to be the
//! hub's own user, so that no setup code is needed.

use clap::Args;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    client::{Call, Client},
    failure::Failure,
    output::{self, Format},
    secret,
};

/// Who the owner is.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Name to log in with
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// Read the password from stdin; without this it is asked for on the terminal
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) async fn run(client: &Client, format: Format, args: SetupArgs) -> Result<(), Failure> {
    if !client.is_local() {
        return Err(Failure::Usage("setup works on the hub's own machine only: leave out --url".to_owned()));
    }
    if !args.password_stdin && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(Failure::Usage("say --password-stdin to read the password from a pipe".to_owned()));
    }
    let password = secret::read("Password")?;
    let body = json!({ "name": args.owner, "password": password.expose_secret() });
    let reply = client.send(Call::new(Method::POST, "/api/setup").body(body)).await?;
    output::document(format, &reply.body, || Ok(format!("{} owns this hub now\n", args.owner)))
}
