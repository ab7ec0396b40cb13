//! The broker on the wire, between a client and a stand-in provider.

use std::time::Duration;

use reef_types::{InstanceId, usage::UsageOutcome};
use serde_json::{Value, json};

use crate::{
    BrokerLimits,
    testing::{Lab, REAL_KEY, VIRTUAL_KEY, Wire, header, open, soon, status},
};

const SHORT: Duration = Duration::from_millis(150);
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const OA_STREAM: &str = r#"{"model":"oa/vendor/big-1","stream":true,"messages":[]}"#;
const OA_WHOLE: &str = r#"{"model":"oa/vendor/big-1","messages":[]}"#;
const AN_STREAM: &str = r#"{"model":"an/vendor/big-1","stream":true,"max_tokens":9,"messages":[]}"#;

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn echo_request(text: &str, stream: bool) -> String {
    json!({
        "model": "echo/echo-1", "stream": stream, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": text }],
        "tools": [{ "type": "function", "function": { "name": "exec" } }],
    })
    .to_string()
}

#[tokio::test]
async fn echo_answers_in_both_dialects_and_is_metered() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, &echo_request("hello", true)).await;
    let (head, body) = client.message().await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status(&head), 200);
    assert!(header(&head, "content-type").unwrap().starts_with("text/event-stream"));
    assert!(body.contains("\"content\":\"hello\"") && body.ends_with("data: [DONE]\n\n"), "{body}");
    let record = lab.record().await;
    assert_eq!((record.instance, record.provider.as_str(), record.model.as_str()), (lab.instance, "echo", "echo-1"));
    assert_eq!((record.input_tokens, record.output_tokens, record.outcome), (1, 11, UsageOutcome::Ok));
    assert!(record.first_byte_ms.is_some());

    client.post(CHAT, &echo_request("tool:ls", false)).await;
    let (code, body) = client.json().await;
    assert_eq!(code, 200);
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], r#"{"command":"ls"}"#);
    lab.record().await;

    let request = json!({ "model": "echo/echo-messages-1", "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
    client.post_with(MESSAGES, &format!("x-api-key: {VIRTUAL_KEY}\r\n"), &request.to_string()).await;
    let (_, body) = client.message().await;
    let body = String::from_utf8(body).unwrap();
    assert!(body.starts_with("event: message_start\n") && body.contains("\"text\":\"hello\""), "{body}");
    assert!(body.trim_end().ends_with(r#"data: {"type":"message_stop"}"#), "{body}");
    assert_eq!(lab.record().await.outcome, UsageOutcome::Ok);
}

#[tokio::test]
async fn echo_fails_on_demand() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, &echo_request("fail:429", true)).await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), header(&head, "retry-after")), (429, Some("1")));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["error"]["type"], &body["error"]["code"]),
        (&json!("rate_limit_error"), &json!("upstream_failed"))
    );
    assert_eq!(lab.record().await.outcome, UsageOutcome::UpstreamFailed);
}

#[tokio::test]
async fn a_client_that_leaves_a_long_echo_ends_it() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, &echo_request("long:2000", true)).await;
    client.until("word2 ").await;
    drop(client);
    let record = lab.record().await;
    assert_eq!(record.outcome, UsageOutcome::ClientGone);
    assert!((2..200).contains(&record.output_tokens), "{record:?}");
}

#[tokio::test]
async fn the_real_key_goes_up_and_the_virtual_one_stays() {
    let mut lab = Lab::start().await;
    for (path, body, expect_target, expect_key) in [
        (CHAT, OA_WHOLE, "post /v1/chat/completions ", ("authorization", format!("bearer {REAL_KEY}"))),
        (MESSAGES, AN_STREAM, "post /v1/messages ", ("x-api-key", REAL_KEY.to_owned())),
    ] {
        let mut client = lab.client().await;
        let headers = format!(
            "x-api-key: {VIRTUAL_KEY}\r\nanthropic-version: 2023-06-01\r\nuser-agent: sdk/1\r\ncookie: a=b\r\n\
             accept-encoding: gzip\r\nx-private: 1\r\n"
        );
        client.post_with(path, &headers, body).await;
        let mut provider = lab.accept().await;
        let (head, sent) = provider.message().await;
        assert!(head.starts_with(expect_target), "{head}");
        assert_eq!(header(&head, expect_key.0), Some(expect_key.1.as_str()));
        assert_eq!(header(&head, "anthropic-version"), Some("2023-06-01"));
        assert_eq!(header(&head, "user-agent"), Some("sdk/1"));
        for absent in ["cookie", "accept-encoding", "x-private", "referer"] {
            assert_eq!(header(&head, absent), None, "{absent}");
        }
        assert!(!head.contains(VIRTUAL_KEY));
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["model"], "vendor/big-1");
        provider
            .send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=b\r\nopenai-organization: acme\r\nx-ratelimit-limit-requests: 7\r\nrequest-id: q\r\ncontent-length: 2\r\n\r\n{}")
            .await;
        let (head, body) = client.message().await;
        assert_eq!((status(&head), &body[..]), (200, &b"{}"[..]));
        assert_eq!((header(&head, "x-ratelimit-limit-requests"), header(&head, "request-id")), (Some("7"), Some("q")));
        assert!(!head.contains("cookie") && !head.contains("acme"), "{head}");
        let record = lab.record().await;
        assert_eq!(
            (record.outcome, record.input_tokens, record.output_tokens),
            (UsageOutcome::Ok, 0, 0),
            "silent usage"
        );
    }
}

#[tokio::test]
async fn an_answer_streams_as_it_comes_and_its_usage_is_read() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, OA_STREAM).await;
    let mut provider = lab.accept().await;
    let (_, sent) = provider.message().await;
    assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap()["stream_options"]["include_usage"], true);
    provider.send(format!("{STREAM_HEAD}{}", chunk("data: {\"first\":1}\n\n"))).await;
    // The second part is not sent before the first one was seen.
    client.until("data: {\"first\":1}\n\n").await;
    // Malformed on purpose: what the broker cannot read it passes on as it is.
    provider.send(chunk("data: {\"usage\": oops\n:\n\u{1}\n")).await;
    client.until("oops\n:\n\u{1}\n").await;
    provider.send(chunk("data: {\"usage\":{\"prompt_tokens\":3,\"comple")).await;
    provider.send(chunk("tion_tokens\":5}}\n\ndata: [DONE]\n\n") + "0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
    let record = lab.record().await;
    assert_eq!((record.outcome, record.input_tokens, record.output_tokens), (UsageOutcome::Ok, 3, 5));
    assert_eq!((record.provider.as_str(), record.model.as_str()), ("oa", "vendor/big-1"));
}

#[tokio::test]
async fn a_huge_chunk_passes_whole() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(MESSAGES, AN_STREAM).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    let huge = format!("data: {{\"usage\":\"{}\"}}\n\n", "x".repeat(4 << 20));
    let usage = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n";
    let wire = format!("{STREAM_HEAD}{}{}0\r\n\r\n", chunk(&huge), chunk(usage));
    let ((), (_, body)) = tokio::join!(provider.send(&wire), client.message());
    assert_eq!(body.len(), huge.len() + usage.len());
    assert_eq!(lab.record().await.output_tokens, 9);
}

#[tokio::test]
async fn a_client_that_leaves_aborts_the_provider() {
    let mut lab = Lab::start().await;
    for answered in [false, true] {
        let mut client = lab.client().await;
        client.post(CHAT, OA_STREAM).await;
        let mut provider = lab.accept().await;
        provider.message().await;
        if answered {
            let usage = "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
            provider.send(format!("{STREAM_HEAD}{}", chunk(usage))).await;
            client.until(usage).await;
        }
        drop(client);
        assert_eq!(provider.rest().await, b"", "answered: {answered}");
        let record = lab.record().await;
        assert_eq!((record.outcome, record.input_tokens), (UsageOutcome::ClientGone, if answered { 3 } else { 0 }));
    }
}

#[tokio::test]
async fn errors_of_a_provider_pass_without_the_key() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, OA_WHOLE).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    let body = format!("{{\"error\":{{\"message\":\"slow down, {REAL_KEY}\"}}}}");
    let length = body.len();
    provider
        .send(format!(
            "HTTP/1.1 429 Too Many\r\nretry-after: 7\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let (head, body) = client.message().await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!((status(&head), header(&head, "retry-after")), (429, Some("7")));
    assert_eq!(body, r#"{"error":{"message":"slow down, [redacted]"}}"#);
    let record = lab.record().await;
    assert_eq!(record.outcome, UsageOutcome::UpstreamFailed);
    assert!(!format!("{record:?}").contains(REAL_KEY));
    assert!(!format!("{:?}{:?}", lab.broker, lab.door).contains(REAL_KEY));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, OA_WHOLE).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    let at = lab.provider.local_addr().unwrap();
    provider.send(format!("HTTP/1.1 307 Moved\r\nlocation: http://{at}/elsewhere\r\ncontent-length: 0\r\n\r\n")).await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), header(&head, "location")), (307, None));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let mut lab = Lab::with(BrokerLimits { idle: SHORT, ..BrokerLimits::default() }).await;
    for hangs in [false, true] {
        let mut client = lab.client().await;
        client.post(CHAT, OA_STREAM).await;
        let mut provider = lab.accept().await;
        provider.message().await;
        provider.send(format!("{STREAM_HEAD}{}", chunk("data: 1\n\n"))).await;
        client.until("data: 1\n\n").await;
        if !hangs {
            drop(provider);
        }
        assert_eq!(client.rest().await, b"\r\n", "cut off without the last chunk");
        assert_eq!(lab.record().await.outcome, UsageOutcome::UpstreamFailed);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer() {
    let mut lab = Lab::with(BrokerLimits { first_byte: SHORT, ..BrokerLimits::default() }).await;
    let mut client = lab.client().await;
    client.post(MESSAGES, AN_STREAM).await;
    let (code, body) = client.json().await;
    assert_eq!((code, &body["type"], &body["error"]["type"]), (504, &json!("error"), &json!("timeout_error")));
    assert_eq!(body["error"]["code"], "upstream_timeout");
    assert_eq!(lab.record().await.outcome, UsageOutcome::UpstreamFailed);

    // Accepted and closed without an answer: the call may have been paid for, so it is not repeated.
    lab.accept().await;
    client.post(CHAT, OA_WHOLE).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    drop(provider);
    let (code, body) = client.json().await;
    assert_eq!((code, &body["error"]["code"]), (502, &json!("upstream_failed")));
    lab.record().await;

    drop(lab.provider);
    client.post(CHAT, OA_WHOLE).await;
    let (code, body) = client.json().await;
    assert_eq!((code, &body["error"]["code"]), (502, &json!("upstream_failed")));
}

#[tokio::test]
async fn keys_open_their_own_door_only() {
    let lab = Lab::start().await;
    let (_door, other) = open(&lab.broker, InstanceId::new(), "reef-virtual-b").await;
    for (addr, headers, expect) in [
        (lab.addr, "authorization: Bearer reef-virtual-a\r\n", 200),
        (lab.addr, "authorization: bearer reef-virtual-a\r\n", 200),
        (lab.addr, "x-api-key: reef-virtual-a\r\n", 200),
        (other, "x-api-key: reef-virtual-b\r\n", 200),
        (lab.addr, "x-api-key: reef-virtual-b\r\n", 401),
        (other, "authorization: Bearer reef-virtual-a\r\n", 401),
        (lab.addr, "", 401),
        (lab.addr, "x-api-key:\r\n", 401),
        (lab.addr, "authorization: Basic reef-virtual-a\r\n", 401),
        (lab.addr, "authorization: Bearer reef-virtual-aa\r\n", 401),
        (lab.addr, "authorization: Bearer reef-virtual-a\r\nx-api-key: reef-virtual-b\r\n", 401),
    ] {
        let mut client = Wire::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        client.send(format!("GET /v1/models HTTP/1.1\r\nhost: b\r\n{headers}\r\n")).await;
        let (code, body) = client.json().await;
        assert_eq!(code, expect, "{headers}");
        if expect == 200 {
            let ids: Vec<_> = body["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
            assert_eq!(ids, ["echo/echo-1", "echo/echo-messages-1", "oa/vendor/big-1", "an/vendor/big-1"]);
        } else {
            assert_eq!(body["error"]["code"], "unauthenticated");
            assert!(!body.to_string().contains("reef-virtual"));
        }
    }
}

#[tokio::test]
async fn a_door_without_a_key_opens_for_nobody() {
    let lab = Lab::start().await;
    let (_door, addr) = open(&lab.broker, InstanceId::new(), "").await;
    let mut client = Wire::new(tokio::net::TcpStream::connect(addr).await.unwrap());
    client.send("GET /v1/models HTTP/1.1\r\nhost: b\r\nx-api-key: \r\n\r\n").await;
    assert_eq!(client.json().await.0, 401);
}

#[tokio::test]
async fn calls_that_are_refused() {
    let mut lab = Lab::with(BrokerLimits { request_bytes_max: 200, ..BrokerLimits::default() }).await;
    let big = "x".repeat(201);
    for (method, path, body, expect_status, expect_code) in [
        ("POST", CHAT, "{", 400, "invalid_json"),
        ("POST", CHAT, "{}", 400, "invalid_request"),
        ("POST", CHAT, r#"{"model":"gpt-1"}"#, 404, "not_found"),
        ("POST", CHAT, r#"{"model":"oa/other"}"#, 404, "not_found"),
        ("POST", CHAT, r#"{"model":"an/vendor/big-1"}"#, 400, "invalid_request"),
        ("POST", MESSAGES, r#"{"model":"oa/vendor/big-1"}"#, 400, "invalid_request"),
        ("POST", MESSAGES, r#"{"model":"gpt-1"}"#, 404, "not_found"),
        ("POST", CHAT, &big, 413, "body_too_large"),
        ("POST", "/v1/responses", "{}", 501, "not_implemented"),
        ("POST", "/v1/embeddings", "{}", 501, "not_implemented"),
        ("GET", CHAT, "", 405, "method_not_allowed"),
        ("POST", "/v1/models", "", 405, "method_not_allowed"),
        ("POST", "/v1/completions", "{}", 404, "not_found"),
        ("GET", "/", "", 404, "not_found"),
    ] {
        let mut client = lab.client().await;
        let length = body.len();
        client
            .send(format!("{method} {path} HTTP/1.1\r\nhost: b\r\nx-api-key: {VIRTUAL_KEY}\r\ncontent-length: {length}\r\n\r\n{body}"))
            .await;
        let (code, answer) = client.json().await;
        assert_eq!(
            (code, answer["error"]["code"].as_str().unwrap()),
            (expect_status, expect_code),
            "{method} {path} {body}"
        );
        let anthropic = path.starts_with(MESSAGES);
        assert_eq!(answer["type"] == "error", anthropic, "the envelope is of the path's dialect: {answer}");
    }
    let mut client = lab.client().await;
    client
        .send(format!("POST {CHAT} HTTP/1.1\r\nhost: b\r\nx-api-key: {VIRTUAL_KEY}\r\ntransfer-encoding: chunked\r\n\r\nc9\r\n{big}\r\n"))
        .await;
    assert_eq!(client.json().await.0, 413, "an undeclared length is limited too");
    assert!(lab.no_record());
}

#[tokio::test]
async fn slow_requests_do_not_hold_a_door_open() {
    let lab = Lab::with(BrokerLimits { header_read: SHORT, body_idle: SHORT, ..BrokerLimits::default() }).await;
    let mut silent = lab.client().await;
    let mut half_head = lab.client().await;
    half_head.send("POST /v1/chat").await;
    let mut half_body = lab.client().await;
    half_body
        .send(format!("POST {CHAT} HTTP/1.1\r\nhost: b\r\nx-api-key: {VIRTUAL_KEY}\r\ncontent-length: 9\r\n\r\n{{"))
        .await;
    silent.rest().await;
    half_head.rest().await;
    let (code, body) = half_body.json().await;
    assert_eq!((code, &body["error"]["code"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn heads_are_limited() {
    let lab = Lab::start().await;
    let mut client = lab.client().await;
    let huge = "x".repeat(80 << 10);
    // The broker may close before all of it is written.
    let _ = tokio::io::AsyncWriteExt::write_all(
        &mut client.stream,
        format!("GET / HTTP/1.1\r\nx: {huge}\r\n\r\n").as_bytes(),
    )
    .await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
}

#[tokio::test]
async fn calls_at_once_are_bounded() {
    let mut lab = Lab::with(BrokerLimits { calls_max: 1, ..BrokerLimits::default() }).await;
    let mut first = lab.client().await;
    first.post(CHAT, OA_STREAM).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    let mut second = lab.client().await;
    second.post(CHAT, &echo_request("x", false)).await;
    let (head, _) = second.message().await;
    assert_eq!((status(&head), header(&head, "retry-after")), (429, Some("1")));
    provider.send(format!("{STREAM_HEAD}0\r\n\r\n")).await;
    first.until("0\r\n\r\n").await;
    lab.record().await;
    second.post(CHAT, &echo_request("x", false)).await;
    assert_eq!(second.json().await.0, 200);
}

#[tokio::test]
async fn bodies_at_once_are_bounded_together() {
    let limits =
        BrokerLimits { request_bytes_max: 192 << 10, request_bytes_at_once_max: 192 << 10, ..BrokerLimits::default() };
    let lab = Lab::with(limits).await;
    let large = echo_request(&"x".repeat(128 << 10), false);
    let (most, last) = large.split_at(large.len() - 1);
    let mut slow = lab.client().await;
    slow.send(format!(
        "POST {CHAT} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {VIRTUAL_KEY}\r\ncontent-length: {}\r\n\r\n{most}",
        large.len()
    ))
    .await;
    // Until the first body was read so far, there is room for a second one.
    let refused = async {
        loop {
            let mut other = lab.client().await;
            other.post(CHAT, &large).await;
            let (head, _) = other.message().await;
            if status(&head) == 429 {
                return head;
            }
        }
    };
    assert_eq!(header(&soon("a refusal", refused).await, "retry-after"), Some("1"));
    slow.send(last).await;
    assert_eq!(slow.json().await.0, 200);
    let mut after = lab.client().await;
    after.post(CHAT, &large).await;
    assert_eq!(after.json().await.0, 200);
}

#[tokio::test]
async fn a_door_that_closes_lets_answers_finish() {
    let mut lab = Lab::start().await;
    let mut client = lab.client().await;
    client.post(CHAT, OA_STREAM).await;
    let mut provider = lab.accept().await;
    provider.message().await;
    provider.send(format!("{STREAM_HEAD}{}", chunk("data: 1\n\n"))).await;
    client.until("data: 1\n\n").await;
    let mut idle = lab.client().await;
    idle.post(CHAT, "{").await;
    idle.message().await;

    let (other, _) = open(&lab.broker, lab.instance, VIRTUAL_KEY).await;
    let door = std::mem::replace(&mut lab.door, other);
    let shutdown = tokio::spawn(door.shutdown(Duration::from_secs(5)));
    assert_eq!(idle.rest().await, b"", "a resting connection ends at once");
    provider.send(chunk("data: 2\n\n") + "0\r\n\r\n").await;
    client.until("data: 2\n\n\r\n0\r\n\r\n").await;
    soon("the shutdown", shutdown).await.unwrap();
    assert_eq!(lab.record().await.outcome, UsageOutcome::Ok);
    assert!(tokio::net::TcpStream::connect(lab.addr).await.is_err());
}

#[tokio::test]
async fn a_door_that_closes_cuts_what_does_not_finish() {
    for dropped in [false, true] {
        let mut lab = Lab::with(BrokerLimits { drain: SHORT, ..BrokerLimits::default() }).await;
        let mut client = lab.client().await;
        client.post(CHAT, OA_STREAM).await;
        let mut provider = lab.accept().await;
        provider.message().await;
        provider.send(format!("{STREAM_HEAD}{}", chunk("data: 1\n\n"))).await;
        client.until("data: 1\n\n").await;
        let (other, _) = open(&lab.broker, lab.instance, VIRTUAL_KEY).await;
        let door = std::mem::replace(&mut lab.door, other);
        if dropped {
            drop(door);
        } else {
            soon("the shutdown", door.shutdown(SHORT)).await;
        }
        client.rest().await;
        assert_eq!(provider.rest().await, b"");
        assert_eq!(lab.record().await.outcome, UsageOutcome::ClientGone);
    }
}
