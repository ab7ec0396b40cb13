use jiff::SignedDuration;
use reef_types::usage::UsageOutcome;

use super::*;
use crate::testing;

fn call(instance: InstanceId, input_tokens: u64, started_at: Timestamp) -> UsageRecord {
    UsageRecord {
        instance,
        provider: "echo".to_owned(),
        model: "echo".to_owned(),
        input_tokens,
        output_tokens: 2,
        cost_micros: 3,
        started_at,
        first_byte_ms: None,
        duration_ms: 4,
        outcome: UsageOutcome::ClientGone,
    }
}

#[tokio::test]
async fn sums_outlive_the_calls() {
    let (_dir, store) = testing::store();
    let (a, b, now) = (InstanceId::new(), InstanceId::new(), Timestamp::now());
    let day_ago = now - SignedDuration::from_hours(24);
    store.usage_append(vec![call(a, 10, day_ago), call(a, 5, now)]).await.unwrap();
    store.usage_append(vec![call(b, 1, now)]).await.unwrap();
    store.usage_append(Vec::new()).await.unwrap();
    let expect = HashMap::from([
        (a, UsageView { cost_micros: 6, input_tokens: 15, output_tokens: 4 }),
        (b, UsageView { cost_micros: 3, input_tokens: 1, output_tokens: 2 }),
    ]);
    assert_eq!(store.usage_totals().await.unwrap(), expect);
    assert_eq!(store.usage_prune(now).await.unwrap(), 1);
    assert_eq!(store.usage_totals().await.unwrap(), expect);
}

#[tokio::test]
async fn nonsense_of_a_provider_does_not_break_the_sums() {
    let (_dir, store) = testing::store();
    let a = InstanceId::new();
    for _ in 0..3 {
        store.usage_append(vec![call(a, u64::MAX, Timestamp::now())]).await.unwrap();
    }
    assert_eq!(store.usage_totals().await.unwrap()[&a].input_tokens, 3 * CALL_VALUE_MAX);
}
