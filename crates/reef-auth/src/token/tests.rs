use super::*;

const KINDS: [Kind; 4] = [Kind::Api, Kind::Session, Kind::Setup, Kind::Broker];

#[test]
fn a_secret_is_recognised_as_its_kind_only() {
    for kind in KINDS {
        let made = kind.generate().unwrap();
        assert_eq!(made.expose().len(), kind.prefix().len() + RANDOM_CHARS + CHECK_CHARS);
        for other in KINDS {
            assert_eq!(other.hash_of(made.expose()), (other == kind).then_some(made.hash), "{kind:?} as {other:?}");
        }
    }
}

#[test]
fn typing_errors_are_recognised() {
    let made = Kind::Api.generate().unwrap();
    let text = made.expose();
    for at in Kind::Api.prefix().len()..text.len() {
        let mut typo = text.as_bytes().to_vec();
        typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
        let typo = String::from_utf8(typo).unwrap();
        assert_eq!(Kind::Api.hash_of(&typo), None, "position {at}");
    }
    for bad in ["", "reef_", &text[1..], &text[..text.len() - 1], &format!("{text} "), &format!(" {text}")] {
        assert_eq!(Kind::Api.hash_of(bad), None, "{bad}");
    }
    assert_eq!(Kind::Api.hash_of(&format!("reef_{}", "ü".repeat(25))), None, "no panic inside a character");
}

#[test]
fn all_characters_are_equally_likely() {
    let mut counts = [0_u32; 256];
    const SECRETS: u32 = 3000;
    for _ in 0..SECRETS {
        let made = Kind::Api.generate().unwrap();
        let random = &made.expose()[Kind::Api.prefix().len()..][..RANDOM_CHARS];
        random.bytes().for_each(|b| counts[usize::from(b)] += 1);
    }
    // Chi-square with 61 degrees of freedom: above 150 about once in 10^9 runs. Taking the remainder of a byte would
    // give more than 600 here.
    let expect = f64::from(SECRETS) * RANDOM_CHARS as f64 / 62.0;
    let chi2: f64 = ALPHABET.iter().map(|b| (f64::from(counts[usize::from(*b)]) - expect).powi(2) / expect).sum();
    assert!(chi2 < 150.0, "{chi2}");
}

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    // The form is stored in people's configurations: it must not change.
    let fixed = format!("reef_{}{}", "0".repeat(RANDOM_CHARS), "2EqYOI");
    let body = &fixed[..fixed.len() - CHECK_CHARS];
    assert_eq!(std::str::from_utf8(&checksum(body)).unwrap(), "2EqYOI");
    assert!(Kind::Api.hash_of(&fixed).is_some());
}

#[test]
fn nothing_prints_the_secret() {
    let made = Kind::Session.generate().unwrap();
    assert!(!format!("{made:?}").contains(&made.expose()[8..20]));
}

#[test]
fn comparing() {
    assert!(same(b"abc", b"abc") && same(b"", b""));
    assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab") && !same(b"", b"a"));
}
