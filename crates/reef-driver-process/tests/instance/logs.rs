//! What a program writes is kept, whatever it is, and does not fill the disk.

use crate::fixture::Fixture;

#[tokio::test]
async fn both_streams_and_whatever_is_in_them() {
    let mut fixture = Fixture::new();
    let id = fixture.start("printf 'one\\ntw'; echo wrong >&2; printf 'o\\n\\377\\000end'").await;
    fixture.exit(id).await;
    assert_eq!(fixture.text(id, "stdout").await, "one\ntwo\n\u{fffd}\0end");
    assert_eq!(fixture.text(id, "stderr").await, "wrong");
    for line in fixture.log(id).await {
        assert!(line.at.ends_with('Z') && line.at.contains('T'), "{}", line.at);
    }
    fixture.clean().await;
}

#[tokio::test]
async fn a_flood_is_cut_into_lines_and_old_ones_go() {
    let mut fixture = Fixture::new();
    let id = fixture.start("head -c 40000000 /dev/zero | tr '\\0' x; echo; echo last").await;
    fixture.exit(id).await;
    let lines = fixture.log(id).await;
    let written: Vec<_> = lines.iter().filter(|line| line.stream == "stdout").collect();
    assert_eq!(written.last().unwrap().text, "last");
    assert!(written.iter().all(|line| line.text.len() <= 16 << 10));
    let logs = fixture.root.join(id.to_string()).join("logs");
    let sizes: Vec<u64> = std::fs::read_dir(logs).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 8 << 20), "{sizes:?}");
    fixture.clean().await;
}
