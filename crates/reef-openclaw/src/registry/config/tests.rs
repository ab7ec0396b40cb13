use super::*;

struct Host {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Host {
    fn new(env: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { dir, env }
    }

    fn load(&self) -> Result<NpmConfig, RegistryError> {
        NpmConfig::load(&Machine { env: self.env.clone(), root: self.dir.path().to_owned() })
    }
}

fn authorization_of(config: &NpmConfig, url: &str) -> Option<String> {
    config.authorization_for(&Url::parse(url).unwrap()).map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn stronger_sources_win() {
    let files: &[(&str, &str)] = &[
        ("/opt/node/bin/node", ""),
        ("/opt/node/lib/node_modules/npm/npmrc", "registry=https://builtin.example"),
        ("/etc/npmrc", "registry=https://etc.example"),
        ("/opt/node/etc/npmrc", "registry=https://global.example"),
        ("/home/u/.npmrc", "registry=https://user.example/npm"),
        ("/srv/npmrc", "registry=https://named.example"),
    ];
    let node = ("PATH", "/nowhere:/opt/node/bin");
    let home = ("HOME", "/home/u");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);
    let cases: &[Case<'_>] = &[
        ("https://registry.npmjs.org/", &[], 0),
        ("https://builtin.example/", &[node], 2),
        ("https://etc.example/", &[node], 3),
        ("https://global.example/", &[node], 4),
        ("https://user.example/npm/", &[node, home], 5),
        ("https://named.example/", &[home, ("npm_config_userconfig", "/srv/npmrc")], 6),
        ("https://env.example/", &[node, home, ("NPM_CONFIG_REGISTRY", "https://env.example")], 6),
        ("https://user.example/npm/", &[home, ("npm_config_registry", "")], 6),
    ];
    for (expected, env, count) in cases {
        let config = Host::new(env, &files[..*count]).load().unwrap();
        assert_eq!(config.registry().as_str(), *expected);
    }
}

#[test]
fn credentials_belong_to_one_origin() {
    let npmrc =
        "registry=https://r.example/npm/private\n//r.example/npm/:_authToken=${T}\n//other.example/:_authToken=no";
    let config = Host::new(&[("HOME", "/h"), ("T", "secret")], &[("/h/.npmrc", npmrc)]).load().unwrap();
    assert_eq!(authorization_of(&config, "https://r.example/anything.tgz").as_deref(), Some("Bearer secret"));
    for foreign in
        ["http://r.example/a", "https://r.example:8443/a", "https://other.example/a", "https://r.example.evil/"]
    {
        assert_eq!(authorization_of(&config, foreign), None, "{foreign}");
    }
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn kinds_of_credentials() {
    let cases = [
        ("registry=http://r.example:81/\n//r.example:81/:_auth=dTpw", Some("Basic dTpw")),
        (
            "registry=http://r.example:81/\n//r.example:81/:username=u\n//r.example:81/:_password=cA==",
            Some("Basic dTpw"),
        ),
        ("registry=http://u:p@r.example:81/", Some("Basic dTpw")),
        ("registry=http://r.example:81/\n//r.example/:_authToken=x", None),
        ("registry=http://r.example:81/\n_authToken=x", None),
    ];
    for (npmrc, expected) in cases {
        let config = Host::new(&[("HOME", "/h")], &[("/h/.npmrc", npmrc)]).load().unwrap();
        assert_eq!(authorization_of(&config, "http://r.example:81/x").as_deref(), expected, "{npmrc}");
        assert_eq!(config.registry().as_str(), "http://r.example:81/");
    }
}

#[test]
fn proxies_are_npms_or_the_environments() {
    let proxies = |env: &[(&str, &str)], npmrc: &str| {
        let mut env = env.to_vec();
        env.push(("HOME", "/h"));
        let config = Host::new(&env, &[("/h/.npmrc", npmrc)]).load().unwrap();
        let (http, https, none) = config.proxies();
        let text = |secret: Option<&SecretString>| secret.map(|s| s.expose_secret().to_owned()).unwrap_or_default();
        (text(http), text(https), none.unwrap_or_default().to_owned())
    };
    let expect = |http: &str, https: &str, none: &str| (http.to_owned(), https.to_owned(), none.to_owned());
    assert_eq!(proxies(&[], ""), expect("", "", ""));
    assert_eq!(proxies(&[("HTTPS_PROXY", "http://e"), ("no_proxy", "a,b")], ""), expect("", "http://e", "a,b"));
    assert_eq!(
        proxies(&[("HTTPS_PROXY", "http://e")], "proxy=http://p\nnoproxy=c"),
        expect("http://p", "http://p", "c")
    );
    assert_eq!(proxies(&[("HTTPS_PROXY", "http://e")], "https-proxy=null"), expect("", "", ""));
}

#[test]
fn certificates() {
    let files =
        [("/h/.npmrc", "cafile=/corp.pem\nca=\"A\\nB\""), ("/corp.pem", "CORP"), ("/etc/ssl/cert.pem", "SYSTEM")];
    let config = Host::new(&[("HOME", "/h")], &files).load().unwrap();
    assert_eq!(config.extra_ca(), "A\nB\nCORP");
    assert_eq!(config.ca_bundle(), "A\nB\nCORP\nSYSTEM\n");
    let missing = Host::new(&[("HOME", "/h")], &files[..1]).load();
    assert!(matches!(missing, Err(RegistryError::Config(text)) if text.contains("cafile")));
}

#[test]
fn unusable_registries_are_refused_without_showing_them() {
    for registry in ["file:///etc", "npmjs", "https://", "ftp://u:secret@r.example/"] {
        let err = Host::new(&[("npm_config_registry", registry)], &[]).load().unwrap_err();
        assert!(matches!(&err, RegistryError::Config(_)), "{registry}");
        assert!(!err.to_string().contains("secret"));
    }
}

#[test]
fn the_rendered_npmrc_means_the_same() {
    let npmrc = "registry=https://r.example/npm/\n//r.example/:_authToken=\"a;b\"\nhttps-proxy=http://u:p@proxy:3128\nnoproxy=x.example,y";
    let config = Host::new(&[("HOME", "/h")], &[("/h/.npmrc", npmrc)]).load().unwrap();
    let rendered = config.to_npmrc();
    insta::assert_snapshot!(rendered.expose_secret(), @r#"
    registry=https://r.example/npm/
    strict-ssl=true
    //r.example/:_authToken="a;b"
    https-proxy="http://u:p@proxy:3128"
    noproxy="x.example,y"
    "#);
    let again = Host::new(&[("HOME", "/h")], &[("/h/.npmrc", rendered.expose_secret())]).load().unwrap();
    assert_eq!(authorization_of(&again, "https://r.example/x"), Some("Bearer a;b".to_owned()));
    assert_eq!(again.registry(), config.registry());
    assert_eq!(again.proxies().1.unwrap().expose_secret(), "http://u:p@proxy:3128");
    assert!(again.proxies().0.is_none());
}

#[test]
fn a_credential_from_a_missing_variable_is_told() {
    let npmrc = "//registry.npmjs.org/:_authToken=${NPM_TOKEN}";
    let err = Host::new(&[("HOME", "/h")], &[("/h/.npmrc", npmrc)]).load().unwrap_err();
    assert!(err.to_string().contains("variable that is not set"), "{err}");
}
