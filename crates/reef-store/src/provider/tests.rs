use secrecy::ExposeSecret;

use super::*;
use crate::testing;

#[tokio::test]
async fn a_provider_comes_and_goes_with_its_key() {
    let (_dir, store) = testing::store();
    let row = ProviderRow {
        name: "main".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://llm.example/v1".to_owned(),
        models: vec!["small".to_owned(), "large".to_owned()],
        created_at: Timestamp::now(),
    };
    let put = |key: &str| store.provider_put(row.clone(), SecretString::from(key), testing::audit("provider.put"));
    put("sk-1").await.unwrap();
    assert!(matches!(put("sk-2").await, Err(StoreError::Conflict)));
    assert_eq!(store.provider_list().await.unwrap(), std::slice::from_ref(&row));
    let key = || store.secret_get(PROVIDER_SCOPE, "main");
    assert_eq!(key().await.unwrap().unwrap().expose_secret(), "sk-1", "a refused put does not touch the key");

    assert!(store.provider_delete("main", testing::audit("provider.delete")).await.unwrap());
    assert!(!store.provider_delete("main", testing::audit("provider.delete")).await.unwrap());
    assert!(key().await.unwrap().is_none());
    assert!(store.provider_list().await.unwrap().is_empty());
}

#[tokio::test]
async fn settings_are_kept() {
    let (dir, store) = testing::store();
    assert_eq!(store.setting_get("model").await.unwrap(), None);
    store.setting_put("model", "a").await.unwrap();
    store.setting_put("model", "b").await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.setting_get("model").await.unwrap().as_deref(), Some("b"));
}
