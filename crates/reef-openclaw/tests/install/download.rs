//! Fetching single package files: interruptions, wrong content, refusals, and where credentials go.

use std::{collections::BTreeMap, path::Path, time::Duration};

use parking_lot::Mutex;
use reef_openclaw::registry::{Machine, NpmConfig, Registry, RegistryError, Timing};

use crate::{
    fake_registry::{Answer, FakeRegistry},
    packages::{document, sri},
};

pub(crate) const QUICK: Timing = Timing {
    connect: Duration::from_secs(5),
    idle: Duration::from_millis(300),
    attempts: 3,
    pause: Duration::from_millis(1),
};

/// A machine whose only npm configuration is the given npmrc.
pub(crate) fn machine(root: &Path, npmrc: &str) -> Machine {
    std::fs::write(root.join(".npmrc"), npmrc).unwrap();
    Machine { env: BTreeMap::from([("HOME".to_owned(), "/".to_owned())]), root: root.to_owned() }
}

fn client(root: &Path, npmrc: &str) -> Registry {
    // The program does this once; here each test may be the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::new(NpmConfig::load(&machine(root, npmrc)).unwrap(), QUICK).unwrap()
}

fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Serves `widget` 1.0.0; `file` answers for its package file.
async fn widget(
    integrity: String,
    file: impl Fn(&crate::fake_registry::Request, usize) -> Answer + Send + Sync + 'static,
) -> FakeRegistry {
    FakeRegistry::start(move |request, number| match request.path.as_str() {
        // Real mirrors give the public host here too.
        "/widget" => Answer::ok(document("1.0.0", "https://registry.npmjs.org/widget/-/widget.tgz", &integrity)),
        "/widget/-/widget.tgz" => file(request, number),
        _ => Answer::status(404),
    })
    .await
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let whole = content();
    let served = whole.clone();
    let registry = widget(sri(&whole), move |request, number| {
        let mut answer = Answer::part(&served, request);
        // Cut three times, each time after something arrived: more often than empty tries are allowed.
        answer.cut_at = (number < 4).then_some(150_000);
        answer
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path(), &format!("registry={}", registry.url("")));
    let tarball = client.lookup("widget", "1.0.0").await.unwrap();
    let seen = Mutex::new(Vec::new());
    let on_bytes = |done, total| seen.lock().push((done, total));
    let file = client.fetch(&tarball, &dir.path().join("cache"), &on_bytes).await.unwrap();

    assert_eq!(std::fs::read(&file).unwrap(), whole);
    let starts: Vec<_> = registry.requests().iter().filter_map(|request| request.range_start).collect();
    assert_eq!(starts.len(), 3);
    assert!(starts.is_sorted() && starts[0] > 0);
    let seen = seen.into_inner();
    assert!(seen.is_sorted_by_key(|(done, _)| *done));
    assert_eq!(seen.last(), Some(&(800_000, 800_000)));

    // A second call needs only the cache.
    let requests = registry.requests().len();
    assert_eq!(client.fetch(&tarball, &dir.path().join("cache"), &|_, _| {}).await.unwrap(), file);
    assert_eq!(registry.requests().len(), requests);
}

#[tokio::test]
async fn a_registry_without_ranges_and_a_changed_file_work_too() {
    let whole = content();
    let served = whole.clone();
    let registry = widget(sri(&whole), move |_, number| {
        let mut answer = Answer::ok(served.clone());
        answer.cut_at = (number < 2).then_some(150_000);
        answer
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path(), &format!("registry={}", registry.url("")));
    let tarball = client.lookup("widget", "1.0.0").await.unwrap();
    let cache = dir.path().join("cache");
    let file = client.fetch(&tarball, &cache, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), whole);

    // A damaged cache is noticed and made good.
    std::fs::write(&file, "damaged").unwrap();
    assert_eq!(client.fetch(&tarball, &cache, &|_, _| {}).await.unwrap(), file);
    assert_eq!(std::fs::read(&file).unwrap(), whole);

    // So is a first half of another file.
    std::fs::write(file.with_extension("partial"), "of another file").unwrap();
    std::fs::remove_file(&file).unwrap();
    client.fetch(&tarball, &cache, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), whole);
}

#[tokio::test]
async fn another_content_than_promised_is_refused_and_not_kept() {
    let registry = widget(sri(b"promised"), |request, _| Answer::part(b"something else", request)).await;
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path(), &format!("registry={}", registry.url("")));
    let tarball = client.lookup("widget", "1.0.0").await.unwrap();
    let cache = dir.path().join("cache");
    for partial in [None, Some("old half")] {
        std::fs::create_dir_all(&cache).unwrap();
        if let Some(text) = partial {
            std::fs::write(cache.join(tarball.integrity.file_name()).with_extension("partial"), text).unwrap();
        }
        let err = client.fetch(&tarball, &cache, &|_, _| {}).await.unwrap_err();
        assert!(matches!(err, RegistryError::Integrity { .. }), "{err}");
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_are_not_repeated() {
    type Expected = fn(&RegistryError) -> bool;
    let cases: [(u16, usize, Expected); 4] = [
        (404, 1, |err| matches!(err, RegistryError::NotFound { version, .. } if version == "1.0.0")),
        (401, 1, |err| matches!(err, RegistryError::Denied { status: 401, .. })),
        (403, 1, |err| matches!(err, RegistryError::Denied { status: 403, .. })),
        (500, 3, |err| matches!(err, RegistryError::Network { problem, .. } if problem.contains("500"))),
    ];
    for (status, tries, expected) in cases {
        let registry = FakeRegistry::start(move |_, _| Answer::status(status)).await;
        let dir = tempfile::tempdir().unwrap();
        let npmrc = format!("registry=http://u:MARKER@{}/", registry.addr);
        let err = client(dir.path(), &npmrc).lookup("widget", "1.0.0").await.unwrap_err();
        assert!(expected(&err), "{status}: {err:?}");
        assert_eq!(registry.requests().len(), tries, "{status}");
        assert!(err.to_string().contains(&registry.url("")), "{err}");
        assert!(!format!("{err} {err:?}").contains("MARKER"));
    }
}

#[tokio::test]
async fn an_unknown_version_is_not_found() {
    let registry = widget(sri(b""), |_, _| Answer::status(404)).await;
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path(), &format!("registry={}", registry.url("")));
    let err = client.lookup("widget", "1.0.1").await.unwrap_err();
    assert_eq!(err.to_string(), format!("version 1.0.1 of widget is not in the registry {}", registry.url("")));
}

#[tokio::test]
async fn errors_and_silence_that_pass_are_sat_out() {
    let whole = content();
    let served = whole.clone();
    let registry = FakeRegistry::start(move |request, number| match number {
        0 | 3 => Answer::status(503),
        1 | 4 => Answer { delay: QUICK.idle * 3, ..Answer::ok("") },
        2 => Answer::ok(document("1.0.0", "https://registry.npmjs.org/widget.tgz", &sri(&served))),
        _ => Answer::part(&served, request),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path(), &format!("registry={}", registry.url("")));
    let tarball = client.lookup("widget", "1.0.0").await.unwrap();
    let file = client.fetch(&tarball, &dir.path().join("cache"), &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(file).unwrap(), whole);
}

#[tokio::test]
async fn nobody_listening_is_a_network_error() {
    let registry = FakeRegistry::start(|_, _| Answer::status(500)).await;
    let url = registry.url("");
    drop(registry);
    let dir = tempfile::tempdir().unwrap();
    let err = client(dir.path(), &format!("registry={url}")).lookup("widget", "1.0.0").await.unwrap_err();
    assert!(matches!(&err, RegistryError::Network { .. }) && err.to_string().contains(&url), "{err}");
}

#[tokio::test]
async fn credentials_go_to_the_registry_and_to_nobody_else() {
    let stranger = FakeRegistry::start(|_, _| Answer::ok("file")).await;
    let elsewhere = stranger.url("direct.tgz");
    let redirect = stranger.url("redirected.tgz");
    let registry = FakeRegistry::start(move |request, _| match request.path.as_str() {
        "/direct" => Answer::ok(document("1.0.0", &elsewhere, &sri(b"file"))),
        "/redirected" => Answer::ok(document("1.0.0", "https://registry.npmjs.org/here.tgz", &sri(b"file"))),
        _ => Answer { headers: vec![("location", redirect.clone())], ..Answer::status(302) },
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let npmrc = format!("registry={}\n//{}/:_authToken=MARKER", registry.url(""), registry.addr);
    let client = client(dir.path(), &npmrc);
    for package in ["direct", "redirected"] {
        let tarball = client.lookup(package, "1.0.0").await.unwrap();
        let cache = dir.path().join(package);
        client.fetch(&tarball, &cache, &|_, _| {}).await.unwrap();
    }
    assert_eq!(registry.requests().len(), 3);
    assert!(registry.requests().iter().all(|request| request.authorization.as_deref() == Some("Bearer MARKER")));
    assert_eq!(stranger.requests().len(), 2);
    assert!(stranger.requests().iter().all(|request| request.authorization.is_none()));
}

#[test]
fn certificates_that_are_none_are_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), "not a certificate").unwrap();
    let config = NpmConfig::load(&machine(dir.path(), "cafile=/ca.pem")).unwrap();
    assert!(matches!(Registry::new(config, QUICK), Err(RegistryError::Config(text)) if text.contains("cafile")));
}
