use std::collections::BTreeMap;

use reef_driver::Reason;
use reef_types::{Egress, Resources};

use super::{frame::FrameError, *};

fn workload(file_bytes: usize) -> Workload {
    serde_json::from_value(serde_json::json!({
        "id": InstanceId::new(), "name": "scout", "generation": 1, "argv": ["/bin/true"],
        "env": BTreeMap::<String, String>::new(), "cwd": "/", "versions": [], "secrets": [], "doors": [],
        "files": [{ "path": "/reef/state/a", "content": "x".repeat(file_bytes), "overwrite": true }],
        "resources": Resources::default(), "egress": Egress::Closed,
    }))
    .unwrap()
}

fn requests() -> Vec<Request> {
    let id = InstanceId::new();
    let driver = || "fake".to_owned();
    let (kind, version) = ("node".to_owned(), "1.2.3".to_owned());
    vec![
        Request::Fingerprint { driver: driver() },
        Request::Prepare { driver: driver(), workload: Box::new(workload(3)) },
        Request::Start { driver: driver(), workload: Box::new(workload(3)) },
        Request::PutSecrets { driver: driver(), id, secrets: Vec::new() },
        Request::Observe { driver: driver(), id },
        Request::Stop { driver: driver(), id, grace_ms: 1 },
        Request::Destroy { driver: driver(), id, data: DataPolicy::Keep },
        Request::Inventory { driver: driver() },
        Request::Events { driver: driver() },
        Request::Logs { driver: driver(), id, query: LogQuery { tail: 1, follow: false } },
        Request::Dial { driver: driver(), id, port: 1 },
        Request::Door { driver: driver(), id, port: 1 },
        Request::Versions {},
        Request::Install { kind: kind.clone(), version: version.clone() },
        Request::Remove { kind, version },
    ]
}

/// What the privileged side can be asked to do. A new verb is a decision about the trust boundary: change this list only
/// together with a review of what the verb allows.
#[test]
fn the_list_of_verbs_is_closed() {
    let requests = requests();
    let verbs: Vec<&str> = requests.iter().map(Request::verb).collect();
    assert_eq!(
        verbs,
        [
            "fingerprint",
            "prepare",
            "start",
            "put_secrets",
            "observe",
            "stop",
            "destroy",
            "inventory",
            "events",
            "logs",
            "dial",
            "door",
            "versions",
            "install",
            "remove",
        ]
    );
    // The parser's own list, so that a verb cannot be added without appearing above.
    let refusal = serde_json::from_str::<Request>(r#"{"verb":"exec"}"#).unwrap_err().to_string();
    let known: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
    assert_eq!(known, verbs, "{refusal}");
    for request in requests {
        let json = serde_json::to_value(&request).unwrap();
        assert_eq!(json["verb"], request.verb());
        assert_eq!(serde_json::from_value::<Request>(json).unwrap(), request);
    }
}

#[test]
fn fields_that_are_not_known_are_refused() {
    for text in [
        r#"{"verb":"inventory","driver":"process","command":"id"}"#,
        r#"{"verb":"versions","path":"/etc"}"#,
        r#"{"verb":"inventory"}"#,
        r#"{"driver":"process"}"#,
        r#"{"verb":"observe","driver":"process","id":"../../etc"}"#,
        "[]",
    ] {
        assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn frames_round_trip_and_end_cleanly() {
    let mut bytes = Vec::new();
    for request in requests() {
        frame::write(&mut bytes, &request).await.unwrap();
    }
    let mut input = bytes.as_slice();
    let mut count = 0;
    while let Some(request) = frame::read::<Request>(&mut input).await.unwrap() {
        assert_eq!(request.verb(), requests()[count].verb());
        count += 1;
    }
    assert_eq!(count, requests().len());
}

#[tokio::test]
async fn bad_frames_are_told_apart() {
    let too_large = (u32::try_from(FRAME_BYTES_MAX).unwrap() + 1).to_be_bytes();
    type Expected = fn(&FrameError) -> bool;
    let cases: [(&[u8], Expected); 4] = [
        (&too_large, |err| matches!(err, FrameError::TooLarge { .. })),
        (&[0, 0], |err| matches!(err, FrameError::Truncated)),
        (&[0, 0, 0, 9, b'{'], |err| matches!(err, FrameError::Truncated)),
        (&[0, 0, 0, 1, b'{'], |err| matches!(err, FrameError::Malformed { .. })),
    ];
    for (bytes, expected) in cases {
        let err = frame::read::<Request>(&mut &bytes[..]).await.unwrap_err();
        assert!(expected(&err), "{bytes:?}: {err}");
    }
    let large = Request::Prepare { driver: "fake".to_owned(), workload: Box::new(workload(FRAME_BYTES_MAX)) };
    assert!(matches!(frame::encode(&large), Err(FrameError::TooLarge { .. })));
}

#[tokio::test]
async fn the_error_about_a_bad_frame_does_not_quote_it() {
    const MARKER: &str = "s3cret-marker";
    for body in [
        format!(r#"{{"verb":"{MARKER}"}}"#),
        format!(r#"{{"verb":"inventory","{MARKER}":1}}"#),
        format!(r#"{{"verb":"put_secrets","driver":"p","id":"{MARKER}","secrets":[]}}"#),
        format!(r#"{{"verb":"put_secrets","driver":"p","secrets":"{MARKER}"}}"#),
    ] {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body.as_bytes());
        let err = frame::read::<Request>(&mut bytes.as_slice()).await.unwrap_err();
        assert!(!format!("{err} {err:?}").contains(MARKER), "{err:?}");
    }
}

#[test]
fn a_secret_does_not_show_in_a_printed_request() {
    let secret = SecretFile { name: "token".to_owned(), value: "s3cret-marker".to_owned(), start_only: true };
    let request = Request::PutSecrets { driver: "p".to_owned(), id: InstanceId::new(), secrets: vec![secret] };
    assert!(!format!("{request:?}").contains("s3cret-marker"));
    let error = DriverError::new(Reason::Invalid, "no");
    assert_eq!(serde_json::to_value(Answer::Failed { error }).unwrap()["answer"], "failed");
}

#[tokio::test]
async fn a_descriptor_arrives_after_its_frame() {
    let (mut node, mut hub) = tokio::net::UnixStream::pair().unwrap();
    let (passed, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    frame::write(&mut node, &Answer::Socket {}).await.unwrap();
    fd::send(&node, std::os::fd::AsFd::as_fd(&passed)).await.unwrap();
    drop((node, passed));
    assert_eq!(frame::read::<Answer>(&mut hub).await.unwrap(), Some(Answer::Socket {}));
    let mut received = std::os::unix::net::UnixStream::from(fd::receive(&hub).await.unwrap());
    std::io::Write::write_all(&mut received, b"through").unwrap();
    drop(received);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut other, &mut text).unwrap();
    assert_eq!(text, "through");
}
