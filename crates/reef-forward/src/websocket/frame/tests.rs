use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [1, 2, 3, 4];

fn mask_for(from: From) -> Option<[u8; 4]> {
    (from == From::Client).then_some(MASK)
}

#[test]
fn a_frame_survives_any_split() {
    for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
        for from in [From::Client, From::Upstream] {
            let payload = vec![b'x'; len];
            let wire = encode(Opcode::Text, &payload, mask_for(from));
            let mut buf = BytesMut::from(&wire[..wire.len() - 1]);
            assert_eq!(decode(&mut buf, from, len).unwrap(), None);
            buf.put_u8(wire[wire.len() - 1]);
            buf.put_slice(b"rest");
            let frame = decode(&mut buf, from, len).unwrap().unwrap();
            assert_eq!((frame.fin, frame.opcode, frame.payload.len()), (true, Opcode::Text, len));
            assert!(frame.payload.iter().all(|byte| *byte == b'x'));
            assert_eq!(&buf[..], b"rest");
        }
    }
}

#[test]
fn what_is_not_a_frame_is_refused() {
    let rows: [(&[u8], From, u16); 8] = [
        (&[0x81, 0x00], From::Client, code::PROTOCOL),
        (&[0x81, 0x80, 0, 0, 0, 0], From::Upstream, code::PROTOCOL),
        (&[0xc1, 0x00], From::Upstream, code::PROTOCOL),
        (&[0x83, 0x00], From::Upstream, code::PROTOCOL),
        (&[0x09, 0x00], From::Upstream, code::PROTOCOL),
        (&[0x89, 126, 0, 126], From::Upstream, code::PROTOCOL),
        (&[0x81, 126, 0, 101], From::Upstream, code::TOO_BIG),
        (&[0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], From::Upstream, code::TOO_BIG),
    ];
    for (wire, from, expect) in rows {
        assert_eq!(decode(&mut BytesMut::from(wire), from, 100).unwrap_err().code, expect, "{wire:x?}");
    }
}

#[test]
fn close_frames() {
    let frame = CloseFrame::new(1013, "ü".repeat(100));
    let wire = frame.encode();
    assert!(wire.len() <= 2 + CONTROL_BYTES_MAX);
    let decoded = decode(&mut BytesMut::from(&wire[..]), From::Upstream, 0).unwrap().unwrap();
    let read = CloseFrame::decode(decoded.payload);
    assert_eq!((read.code, read.reason), (1013, "ü".repeat(61)));
    for (payload, expect) in
        [(&b""[..], 1000), (b"\x03", 1002), (b"\x03\xee", 1002), (b"\x0f\xa1ok", 4001), (b"\x03\xe8\xff", 1002)]
    {
        assert_eq!(CloseFrame::decode(Bytes::copy_from_slice(payload)).code, expect, "{payload:x?}");
    }
}

proptest! {
    #[test]
    fn the_boundary_is_found_however_the_stream_is_cut(
        lens in proptest::collection::vec(0usize..70_000, 1..4),
        cuts in proptest::collection::vec(1usize..4096, 1..40),
        masked in any::<bool>(),
    ) {
        let mut wire = Vec::new();
        let mut ends = vec![0];
        for len in lens {
            wire.extend_from_slice(&encode(Opcode::Binary, &vec![0x88; len], masked.then_some(MASK)));
            ends.push(wire.len());
        }
        let mut boundary = Boundary::default();
        let (mut at, mut cuts) = (0, cuts.iter().cycle());
        while at < wire.len() {
            let next = (at + cuts.next().unwrap()).min(wire.len());
            boundary.advance(&wire[at..next]);
            at = next;
            prop_assert_eq!(boundary.is_between_frames(), ends.contains(&at));
        }
        prop_assert!(!boundary.saw_close());
        boundary.advance(&CloseFrame::new(1000, "").encode());
        prop_assert!(boundary.saw_close() && boundary.is_between_frames());
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), client in any::<bool>()) {
        let from = if client { From::Client } else { From::Upstream };
        let _ = decode(&mut BytesMut::from(&bytes[..]), from, 32);
        Boundary::default().advance(&bytes);
    }
}
