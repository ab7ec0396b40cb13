//! Reading npmrc files: the subset of the ini format that npm itself writes and reads at the top level.

use std::collections::BTreeMap;

/// The settings of one npmrc file. Keys are as written, `key[]` collects its values under `key`, one per line of the value.
pub(super) fn parse(text: &str, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#', '[']) {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
        let value = value.map_or_else(|| "true".to_owned(), |value| expand(&unquote(value.trim()), env));
        let key = expand(&unquote(key.trim()), env);
        match key.strip_suffix("[]") {
            Some(list) => {
                let values = settings.entry(list.to_owned()).or_default();
                if !values.is_empty() {
                    values.push('\n');
                }
                values.push_str(&value);
            }
            None => {
                settings.insert(key, value);
            }
        }
    }
    settings
}

/// Quoted values are JSON strings (`"a\nb"`) or literal (`'a'`); others end at an unescaped `;` or `#`.
fn unquote(text: &str) -> String {
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text[1..text.len() - 1].to_owned());
    }
    if text.len() >= 2 && text.starts_with('\'') && text.ends_with('\'') {
        return text[1..text.len() - 1].to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ';' | '#')) => plain.push(escaped),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            ';' | '#' => break,
            _ => plain.push(c),
        }
    }
    plain.trim_end().to_owned()
}

/// Replaces `${NAME}` by the variable, and `${NAME?}` by the variable or nothing. An unset `${NAME}` stays as it is, as
/// with npm: it then shows up in the error of whoever uses the value.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}').map(|offset| start + offset) else { break };
        expanded.push_str(&rest[..start]);
        let name = &rest[start + 2..end];
        let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        match env.get(name) {
            Some(value) => expanded.push_str(value),
            None if optional => {}
            None => expanded.push_str(&rest[start..=end]),
        }
        rest = &rest[end + 1..];
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let env = BTreeMap::from([("TOKEN".to_owned(), "t0k=en".to_owned())]);
        let cases = [
            ("registry=https://r.example/", "registry", "https://r.example/"),
            (" registry = https://r.example/npm/ ; comment", "registry", "https://r.example/npm/"),
            ("fund", "fund", "true"),
            ("//r.example/:_authToken=${TOKEN}", "//r.example/:_authToken", "t0k=en"),
            ("//r.example/:_authToken=${MISSING}", "//r.example/:_authToken", "${MISSING}"),
            ("key=a${MISSING?}b", "key", "ab"),
            ("key=${", "key", "${"),
            (r#"ca="line\nline""#, "ca", "line\nline"),
            ("key='a;b'", "key", "a;b"),
            (r"key=a\;b", "key", "a;b"),
            ("list[]=a\nlist[]=b", "list", "a\nb"),
        ];
        for (text, key, value) in cases {
            assert_eq!(parse(text, &env).get(key).map(String::as_str), Some(value), "{text}");
        }
        assert!(parse("; a\n# b\n\n[section]\n", &env).is_empty());
    }
}
