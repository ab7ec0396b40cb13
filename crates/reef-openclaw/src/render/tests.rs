use reef_driver::{AgentCredential, agent::Dialect};
use reef_types::{AgentRef, InstanceSpec, Resources};
use serde_json::Value;

use super::*;

const TOKEN: &str = "MARKER-gateway-token";
const KEY: &str = "MARKER-broker-key";

fn spec() -> InstanceSpec {
    InstanceSpec {
        id: "ins_0190d6f0000070008000000000000001".parse().unwrap(),
        name: "scout".parse().unwrap(),
        display_name: Some("\", \"evil\": \"${HOME}".to_owned()),
        driver: "process".to_owned(),
        agent: AgentRef { kind: "openclaw".to_owned(), version: version::DEFAULT_VERSION.to_owned() },
        model: None,
        resources: Resources::default(),
        egress: Egress::Closed,
        labels: BTreeMap::from([("team\"".to_owned(), "\\\"}".to_owned())]),
        generation: 3,
        created_at: "2026-11-22T12:00:00Z".parse().unwrap(),
    }
}

fn model(id: &str, dialect: Dialect) -> ModelInfo {
    ModelInfo { id: id.to_owned(), name: id.to_owned(), dialect, context_tokens: 128_000, output_tokens_max: 8192 }
}

struct Given {
    spec: InstanceSpec,
    models: Vec<ModelInfo>,
    broker_port: u16,
    egress_port: Option<u16>,
    key: &'static str,
}

impl Given {
    fn new() -> Self {
        let models =
            vec![model("echo/echo-1", Dialect::OpenAiChat), model("anthropic/claude", Dialect::AnthropicMessages)];
        Self { spec: spec(), models, broker_port: 18001, egress_port: None, key: KEY }
    }

    fn render(&self) -> Result<Workload, AgentError> {
        let token = SecretString::from(TOKEN);
        let input = RenderInput {
            spec: &self.spec,
            credential: &AgentCredential(token.clone()),
            broker_port: self.broker_port,
            broker_key: &SecretString::from(self.key),
            models: &self.models,
            egress_port: self.egress_port,
        };
        render(&input, &token)
    }
}

fn start_of(workload: &Workload) -> Value {
    let file = workload.files.iter().find(|file| file.path.ends_with("start.json")).unwrap();
    serde_json::from_str(&file.content).unwrap()
}

#[test]
fn workload() {
    let mut workload = Given::new().render().unwrap();
    insta::assert_json_snapshot!(start_of(&workload), @r#"
    {
      "defaults": {
        "agents": {
          "defaults": {
            "heartbeat": {
              "every": "0m"
            },
            "skipBootstrap": true
          }
        },
        "plugins": {
          "entries": {
            "memory-core": {
              "config": {
                "dreaming": {
                  "enabled": false
                }
              }
            }
          }
        },
        "skills": {
          "workshop": {
            "autonomous": {
              "mode": "off"
            }
          }
        }
      },
      "enforced": {
        "agents": {
          "defaults": {
            "model": {
              "primary": "reef/echo/echo-1"
            },
            "workspace": "/reef/workspace"
          }
        },
        "discovery": {
          "mdns": {
            "mode": "off"
          }
        },
        "gateway": {
          "auth": {
            "mode": "password",
            "password": null,
            "token": null
          },
          "bind": "loopback",
          "controlUi": {
            "allowedOrigins": [
              "http://127.0.0.1:18789"
            ],
            "basePath": null,
            "enabled": true
          },
          "mode": "local",
          "port": 18789,
          "tailscale": {
            "mode": "off"
          },
          "terminal": {
            "enabled": false
          },
          "trustedProxies": null
        },
        "logging": {
          "file": "/reef/state/logs/gateway.log"
        },
        "models": {
          "catalogRefresh": {
            "enabled": false
          },
          "mode": "replace",
          "providers": {
            "reef": {
              "api": "openai-completions",
              "apiKey": {
                "id": "value",
                "provider": "reef-broker-key",
                "source": "file"
              },
              "baseUrl": "http://127.0.0.1:18001/v1",
              "models": [
                {
                  "contextWindow": 128000,
                  "cost": {
                    "cacheRead": 0,
                    "cacheWrite": 0,
                    "input": 0,
                    "output": 0
                  },
                  "id": "echo/echo-1",
                  "input": [
                    "text"
                  ],
                  "maxTokens": 8192,
                  "name": "echo/echo-1",
                  "reasoning": false
                }
              ]
            },
            "reef-anthropic": {
              "api": "anthropic-messages",
              "apiKey": {
                "id": "value",
                "provider": "reef-broker-key",
                "source": "file"
              },
              "baseUrl": "http://127.0.0.1:18001",
              "models": [
                {
                  "contextWindow": 128000,
                  "cost": {
                    "cacheRead": 0,
                    "cacheWrite": 0,
                    "input": 0,
                    "output": 0
                  },
                  "id": "anthropic/claude",
                  "input": [
                    "text"
                  ],
                  "maxTokens": 8192,
                  "name": "anthropic/claude",
                  "reasoning": false
                }
              ]
            }
          }
        },
        "secrets": {
          "providers": {
            "reef-broker-key": {
              "mode": "singleValue",
              "path": "/run/reef/broker-key",
              "source": "file"
            }
          }
        },
        "telemetry": {
          "enabled": false
        },
        "update": {
          "auto": {
            "enabled": false
          },
          "checkOnStart": false
        }
      },
      "entry": "/reef/versions/openclaw/2026.9.6/node_modules/openclaw/openclaw.mjs"
    }
    "#);
    workload.files.iter_mut().for_each(|file| file.content.clear());
    insta::assert_json_snapshot!(workload, @r#"
    {
      "id": "ins_0190d6f0000070008000000000000001",
      "name": "scout",
      "generation": 3,
      "argv": [
        "/reef/versions/node/24.21.0/bin/node",
        "/reef/state/reef/start.mjs",
        "gateway",
        "run",
        "--auth",
        "password",
        "--password-file",
        "/run/reef/gateway-token"
      ],
      "env": {
        "HOME": "/home/agent",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "OPENCLAW_CONFIG_PATH": "/reef/state/openclaw.json",
        "OPENCLAW_DISABLE_BONJOUR": "1",
        "OPENCLAW_HOME": "/home/agent",
        "OPENCLAW_NO_AUTO_UPDATE": "1",
        "OPENCLAW_NO_RESPAWN": "1",
        "OPENCLAW_OFFLINE": "1",
        "OPENCLAW_STATE_DIR": "/reef/state",
        "PATH": "/reef/versions/node/24.21.0/bin:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
        "USER": "agent"
      },
      "cwd": "/reef/workspace",
      "versions": [
        [
          "node",
          "24.21.0"
        ],
        [
          "openclaw",
          "2026.9.6"
        ]
      ],
      "files": [
        {
          "path": "/reef/state/reef/start.mjs",
          "content": "",
          "overwrite": true
        },
        {
          "path": "/reef/state/reef/start.json",
          "content": "",
          "overwrite": true
        }
      ],
      "secrets": [
        {
          "name": "gateway-token",
          "value": "MARKER-gateway-token",
          "start_only": true
        },
        {
          "name": "broker-key",
          "value": "MARKER-broker-key",
          "start_only": false
        }
      ],
      "resources": {
        "memoryBytes": 2147483648,
        "cpusMilli": 2000,
        "pids": 512
      },
      "egress": "closed",
      "doors": [
        18001
      ]
    }
    "#);
}

#[test]
fn secrets_are_in_secret_files_only() {
    let mut given = Given::new();
    given.spec.egress = Egress::Open;
    given.egress_port = Some(18002);
    let mut workload = given.render().unwrap();
    assert!(!format!("{workload:?}").contains("MARKER"));
    let secrets = std::mem::take(&mut workload.secrets);
    assert!(!serde_json::to_string(&workload).unwrap().contains("MARKER"));
    let seen: Vec<_> = secrets.iter().map(|s| (s.name.as_str(), s.value.as_str(), s.start_only)).collect();
    assert_eq!(seen, [("gateway-token", TOKEN, true), ("broker-key", KEY, false)]);
}

#[test]
fn open_egress_is_a_door_and_proxy_variables_that_spare_loopback() {
    let mut given = Given::new();
    given.egress_port = Some(18002);
    let closed = given.render().unwrap();
    assert_eq!(closed.doors, [18001]);
    assert!(!closed.env.keys().any(|name| name.to_lowercase().contains("proxy")));

    given.spec.egress = Egress::Open;
    let open = given.render().unwrap();
    assert_eq!(open.doors, [18001, 18002]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        assert_eq!(open.env[name], "http://127.0.0.1:18002");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(open.env[name], "127.0.0.1,localhost,::1");
    }
    assert_eq!(open.env["NODE_USE_ENV_PROXY"], "1");
}

#[test]
fn the_model_is_the_specs_or_the_first() {
    let primary = |given: &Given| {
        start_of(&given.render().unwrap())["enforced"]["agents"]["defaults"]["model"]["primary"].clone()
    };
    let mut given = Given::new();
    assert_eq!(primary(&given), "reef/echo/echo-1");
    given.spec.model = Some("anthropic/claude".to_owned());
    assert_eq!(primary(&given), "reef-anthropic/anthropic/claude");
    given.spec.model = None;
    given.models.clear();
    assert_eq!(primary(&given), Value::Null);
}

#[test]
fn a_dialect_without_models_is_taken_out() {
    let mut given = Given::new();
    given.models.truncate(1);
    let providers = &start_of(&given.render().unwrap())["enforced"]["models"]["providers"];
    assert!(providers["reef"].is_object());
    assert_eq!(providers["reef-anthropic"], Value::Null);
}

#[test]
fn refusals() {
    type Spoil = fn(&mut Given);
    let cases: &[(&str, Spoil)] = &[
        ("not an OpenClaw version", |g| g.spec.agent.version = "latest".to_owned()),
        ("too old", |g| g.spec.agent.version = "2026.2.14".to_owned()),
        ("does not offer a model `gone`", |g| g.spec.model = Some("gone".to_owned())),
        ("no port for the egress proxy", |g| g.spec.egress = Egress::Open),
        ("different ports", |g| g.broker_port = GATEWAY_PORT),
        ("different ports", |g| g.broker_port = 0),
        ("different ports", |g| {
            g.spec.egress = Egress::Open;
            g.egress_port = Some(g.broker_port);
        }),
        ("broker-key is empty", |g| g.key = ""),
        ("broker-key is empty or not printable", |g| g.key = "line\nbreak"),
    ];
    for (expected, spoil) in cases {
        let mut given = Given::new();
        spoil(&mut given);
        let Err(AgentError::Invalid(message)) = given.render() else { panic!("{expected}: not refused") };
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("MARKER"));
    }
}
