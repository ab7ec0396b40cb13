use proptest::prelude::*;

use super::*;

#[test]
fn rows() {
    for good in [
        "/",
        "/a",
        "/a/",
        "/a.b/..c/d..",
        "/...",
        "/a%20b",
        "/a%2Fb",
        "/%C3%A4",
        "/a;v=1",
        "/a~!$&'()*+,=:@b",
        "/100%25",
    ] {
        assert!(validate(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "//",
        "//host/a",
        "/a//b",
        "/a//",
        "http://host/",
        "/http://host",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/a/..",
        "/a\\b",
        "/a b",
        "/a\nb",
        "/a\0b",
        "/a\u{7f}",
        "/ä",
        "/a?b",
        "/a#b",
        "/%",
        "/%2",
        "/%zz",
        "/%u002e",
        "/%2e%2e/a",
        "/%2E./a",
        "/.%2e",
        "/%2e",
        "/a/%2e%2e%2fb",
        "/..%2fb",
        "/%2f%2fb",
        "/%2f/b",
        "/a%5cb",
        "/a%00",
        "/a%0d%0aX:1",
        "/a%7f",
        "/%c0%ae%c0%ae/",
        "/%ff",
        "/%252e%252e/a",
        "/%252e%252e%252fa",
        "/a%255cb",
        "/a%2500",
        "/..;/a",
        "/..;x=1/a",
        "/%2e%2e%3b/a",
    ] {
        assert_eq!(validate(bad).map_err(|err| err.code), Err(ErrorCode::InvalidProxyPath), "{bad:?}");
    }
}

/// One character written raw, encoded in either case, or encoded twice.
fn spelling(character: char) -> impl Strategy<Value = String> {
    let code = character as u32;
    prop_oneof![
        Just(character.to_string()),
        Just(format!("%{code:02x}")),
        Just(format!("%{code:02X}")),
        Just(format!("%25{code:02x}")),
        Just(format!("%25{code:02X}")),
    ]
}

fn spelled(text: &'static str) -> impl Strategy<Value = String> {
    text.chars().map(spelling).collect::<Vec<_>>().prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_spelling_of_a_dangerous_part_passes(
        part in prop_oneof![
            spelled("/../"), spelled("/./"), spelled("//"), spelled("\\"), spelled("\0"), spelled("\r\n"), spelled("/..;/"),
        ],
        before in "(/[a-z]{1,5}){0,3}",
        after in "[a-z]{0,5}",
    ) {
        let path = format!("{before}/x{part}{after}");
        prop_assert!(validate(&path).is_err(), "{path}");
    }

    #[test]
    fn what_passes_has_no_second_reading(path in "(/|%2f|%2F|\\.|%2e|%252e|a|;|%|\\\\|%5c|25|2f){0,12}") {
        let path = format!("/{path}");
        if validate(&path).is_ok() {
            let once = String::from_utf8(percent_decode(&path).unwrap()).unwrap();
            for text in [&path, &once] {
                prop_assert!(!text.contains("//") && !text.contains('\\'));
                prop_assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }
    }

    #[test]
    fn never_panics(path in ".{0,64}") {
        let _ = validate(&path);
    }
}
