use serde_json::json;

use super::*;

const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n-1","ts":1700000000000}}"#;

fn handshake() -> (PersonHandshake, Credential) {
    let credential = Credential::generate();
    let mut handshake = PersonHandshake::new(&credential.to_stored());
    assert_eq!(handshake.on_challenge(CHALLENGE).as_deref(), Ok(CHALLENGE));
    (handshake, credential)
}

fn connect(client: Value) -> Value {
    json!({"type": "req", "id": "c1", "method": "connect", "params": {
        "minProtocol": 3, "maxProtocol": 5, "client": client, "role": "operator", "scopes": ["operator.read"],
        "caps": ["tool-events"], "locale": "de", "userAgent": "UA",
        "auth": {"token": "guess", "password": "guess"},
        "device": {"id": "theirs", "publicKey": "p", "signature": "s", "signedAt": 1, "nonce": "n-1"},
    }})
}

fn rewritten(client: Value) -> (Value, Credential) {
    let (mut handshake, credential) = handshake();
    let text = handshake.on_connect(&connect(client).to_string()).unwrap();
    (serde_json::from_str(&text).unwrap(), credential)
}

#[test]
fn authentication_is_replaced_and_the_rest_is_kept() {
    let (frame, credential) = rewritten(json!({"id": "cli", "mode": "cli", "version": "1", "platform": "x"}));
    let params = &frame["params"];
    assert_eq!(frame["id"], "c1");
    assert_eq!((&params["minProtocol"], &params["maxProtocol"]), (&json!(3), &json!(5)));
    assert_eq!(
        (&params["caps"], &params["locale"], &params["userAgent"]),
        (&json!(["tool-events"]), &json!("de"), &json!("UA"))
    );
    assert_eq!(params["auth"], json!({"token": credential.token().expose_secret()}));
    assert_eq!(params["device"]["id"], credential.device_id());
    assert_eq!(params["device"]["nonce"], "n-1");
    assert_eq!(params["role"], "operator");
    assert!(params["scopes"].as_array().unwrap().contains(&json!("operator.admin")));
}

#[test]
fn clients_are_introduced_so_that_the_gateway_accepts_them() {
    for (id, mode, expect_id, expect_mode) in [
        ("openclaw-control-ui", "webchat", "gateway-client", "ui"),
        ("openclaw-control-ui", "ui", "gateway-client", "ui"),
        ("webchat-ui", "webchat", "gateway-client", "ui"),
        ("webchat", "webchat", "gateway-client", "ui"),
        ("gateway-client", "backend", "gateway-client", "backend"),
        ("openclaw-macos", "ui", "openclaw-macos", "ui"),
        ("cli", "cli", "cli", "cli"),
    ] {
        let (frame, _) = rewritten(json!({
            "id": id, "mode": mode, "version": "1", "platform": "MacIntel", "deviceFamily": "Mac",
            "modelIdentifier": "m", "buildId": "b", "instanceId": "tab", "displayName": "d", "timeZone": "UTC",
        }));
        let expect = json!({
            "id": expect_id, "mode": expect_mode, "version": "1", "platform": LINK_CLIENT.platform,
            "instanceId": "tab", "displayName": "d", "timeZone": "UTC",
        });
        assert_eq!(frame["params"]["client"], expect, "{id}/{mode}");
    }
}

#[test]
fn what_is_not_a_persons_connect_is_closed_as_policy() {
    let mut as_node = connect(json!({"id": "cli", "mode": "cli"}));
    as_node["params"]["role"] = json!("node");
    let mut other = connect(json!({"id": "cli", "mode": "cli"}));
    other["method"] = json!("chat.send");
    for text in [
        other.to_string(),
        as_node.to_string(),
        connect(json!({"id": "node-host", "mode": "node"})).to_string(),
        connect(json!({"id": "cli", "mode": "worker"})).to_string(),
        connect(json!("cli")).to_string(),
        json!({"type": "req", "id": "c1", "method": "connect"}).to_string(),
        json!({"type": "req", "id": 1, "method": "connect", "params": {}}).to_string(),
        String::new(),
        "[]".to_owned(),
    ] {
        let err = handshake().0.on_connect(&text).unwrap_err();
        assert_eq!(err.close_code, 1008, "{text}");
    }
}

#[test]
fn order_and_size_are_enforced() {
    let hello = connect(json!({"id": "cli", "mode": "cli"})).to_string();
    let mut early = PersonHandshake::new(&Credential::generate().to_stored());
    assert_eq!(early.on_connect(&hello).unwrap_err().close_code, 1011);

    let (mut twice, _) = handshake();
    twice.on_connect(&hello).unwrap();
    assert_eq!(twice.on_connect(&hello).unwrap_err().close_code, 1011);

    let long = " ".repeat(PREAUTH_FRAME_BYTES_MAX) + &hello;
    assert_eq!(handshake().0.on_connect(&long).unwrap_err().close_code, 1009);

    let mut deaf = PersonHandshake::new(&Credential::generate().to_stored());
    assert_eq!(deaf.on_challenge(r#"{"type":"res","id":"1","ok":true}"#).unwrap_err().close_code, 1002);
}

#[test]
fn no_secret_is_in_the_answer() {
    let (mut handshake, _) = handshake();
    let hello = json!({"type": "res", "id": "c1", "ok": true, "payload": {
        "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6"},
        "auth": {"role": "operator", "scopes": ["operator.admin"], "deviceToken": "MARK", "recoveryScope": "MARK",
            "deviceTokens": [{"deviceToken": "MARK"}]},
        "pluginSurfaceUrls": {"canvas": "http://127.0.0.1:18789/__openclaw__/cap/MARK"},
    }});
    let cleaned = handshake.on_answer(&hello.to_string()).unwrap();
    assert!(!cleaned.contains("MARK"), "{cleaned}");
    let cleaned: Value = serde_json::from_str(&cleaned).unwrap();
    assert_eq!(cleaned["payload"]["auth"], json!({"role": "operator", "scopes": ["operator.admin"]}));
    assert_eq!(cleaned["payload"]["server"]["version"], "2026.9.6");
}

#[test]
fn refusals_pass_without_secrets() {
    let (mut handshake, credential) = handshake();
    let refusal = json!({"type": "res", "id": "c1", "ok": false, "error": {
        "code": "UNAVAILABLE", "message": "starting", "retryAfterMs": 500,
        "details": {"reason": "startup-sidecars", "token": "MARK"}}});
    let passed: Value = serde_json::from_str(&handshake.on_answer(&refusal.to_string()).unwrap()).unwrap();
    assert_eq!(passed["error"]["retryAfterMs"], 500);
    assert_eq!(passed["error"]["details"], json!({"reason": "startup-sidecars"}));

    let chatty = json!({"type": "res", "id": "c1", "ok": false, "error": {"message":
        format!("not {}", credential.token().expose_secret())}});
    assert_eq!(handshake.on_answer(&chatty.to_string()).unwrap_err().close_code, 1011);
    for bad in ["", "{}", r#"{"type":"event","event":"tick"}"#] {
        assert_eq!(handshake.on_answer(bad).unwrap_err().close_code, 1002, "{bad}");
    }
}

#[test]
fn an_unreadable_credential_is_an_error_not_a_panic() {
    let mut handshake = PersonHandshake::new(&AgentCredential("?".to_owned().into()));
    handshake.on_challenge(CHALLENGE).unwrap();
    let err = handshake.on_connect(&connect(json!({"id": "cli", "mode": "cli"})).to_string()).unwrap_err();
    assert_eq!(err.close_code, 1011);
}
