//! The egress proxy of an instance that may connect to public addresses.

use crate::{reef::Reef, talk::inside};

/// The way out leads to no private place: not to the hub, not to a service of this machine, by no spelling.
pub(crate) async fn this_machine_is_refused(reef: &Reef) {
    reef.run(&["create", "carol", "--egress", "open"]).await;
    let port = reef.addr().port();
    let targets = [
        format!("http://127.0.0.1:{port}/health"),
        format!("http://localhost:{port}/health"),
        format!("http://[::1]:{port}/health"),
        format!("http://[::ffff:127.0.0.1]:{port}/health"),
        format!("http://2130706433:{port}/health"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ];
    // Past the exceptions that the environment names, straight to the proxy; both as a request and as a tunnel.
    let script = format!(
        "node -e 'const http = require(\"http\"), proxy = new URL(process.env.http_proxy); \
         for (const target of process.argv.slice(1)) {{ \
         const to = {{ host: proxy.hostname, port: proxy.port, agent: false }}; const host = new URL(target).host; \
         const say = (how) => (answer) => console.log(how, target, answer.statusCode); \
         const bad = (how) => (error) => console.log(how, target, error.code); \
         http.request({{ ...to, path: target, headers: {{ host }} }}, say(\"get\")).on(\"error\", bad(\"get\")).end(); \
         http.request({{ ...to, method: \"CONNECT\", path: host.includes(\":\") ? host : host + \":80\" }}) \
         .on(\"connect\", say(\"tunnel\")).on(\"response\", say(\"tunnel\")).on(\"error\", bad(\"tunnel\")).end(); }}' {} ; exit 0",
        targets.map(|target| format!("'{target}'")).join(" ")
    );
    let said = inside(reef, "carol", &script).await;
    assert_eq!(said.lines().count(), 14, "{said}");
    for line in said.lines() {
        assert!(line.ends_with(" 403"), "{line} in {said}");
    }
    assert_eq!(reef.view("carol").await["egress"], "open");
}
