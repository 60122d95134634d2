//! What a document is about, whatever its role in it: the object `related`.

use flow::Facts;

use super::address::Sides;
use super::facts::put_names;
use super::member::put_text;

/// Appends the object, unless it is empty.
pub(super) fn put_related(sides: &Sides, facts: Option<&Facts>, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend_from_slice(br#","related":{"#);
    let empty = out.len();
    let source = sides.source.as_ref().map(|side| side.text());
    let destination = sides.destination.as_ref().map(|side| side.text());
    let destination = destination.filter(|text| source != Some(text));
    let mut label = &br#""ip":[""#[..];
    let mut put = |text: &[u8], out: &mut Vec<u8>| {
        put_text(out, label, text);
        label = br#"",""#;
    };
    source.into_iter().chain(destination).for_each(|text| put(text, out));
    for address in facts.into_iter().flat_map(Facts::resolved) {
        let text = address.to_string().into_bytes();
        if ![source, destination].contains(&Some(&text)) {
            put(&text, out);
        }
    }
    if out.len() > empty {
        out.extend_from_slice(br#""]"#);
    }
    if let Some(facts) = facts {
        put_names(facts, out);
    }
    if out.len() == empty {
        out.truncate(before);
    } else {
        out.push(b'}');
    }
}
