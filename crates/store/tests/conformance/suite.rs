//! What every store has to do. The store given is empty and the suite's own.

use std::sync::Arc;

use bytes::Bytes;
use cicatrix_store::{Continuation, ObjectInfo, ObjectKey, PAGE_LIMIT, PhotoStore, StoreError};
use futures::StreamExt;

const NO_LIMIT: u64 = 50_000_000;

pub(crate) async fn conforms(store: Arc<dyn PhotoStore>) {
    store.check().await.unwrap();
    assert!(!store.describe().is_empty());
    assert!(whole_listing(&*store).await.is_empty());

    a_long_listing_comes_in_pages_and_in_order(&store).await;
    store.check().await.unwrap();
    what_was_put_comes_back(&*store).await;
    a_missing_object_is_not_found(&*store).await;
    an_object_above_the_limit_is_refused(&*store).await;
    strange_keys_are_kept_as_they_are(&*store).await;
    another_content_is_another_version(&*store).await;
}

/// Apart from the suite, for there are servers that sort folder by folder.
pub(crate) async fn lists_in_byte_order(store: Arc<dyn PhotoStore>) {
    // In byte order: capitals, then ' ' < '-' < '.' < '/' < '0'.
    let sorted = ["B/x", "a b", "a-b/y", "a.b", "a/x", "a/y/z", "a0", "ä"];
    for text in sorted.iter().rev() {
        put(&*store, text, b"x").await;
    }
    let listed = whole_listing(&*store).await;
    let keys: Vec<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, sorted);

    for (nth, text) in sorted.iter().enumerate() {
        let page = store.list(Some(&Continuation::after(&key(text)))).await.unwrap();
        let rest: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(rest, sorted[nth + 1..], "after {text:?}");
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub(crate) async fn put(store: &dyn PhotoStore, name: &str, content: &'static [u8]) {
    store.put(&key(name), Bytes::from_static(content), "image/jpeg").await.unwrap();
}

pub(crate) async fn whole_listing(store: &dyn PhotoStore) -> Vec<ObjectInfo> {
    let mut objects = Vec::new();
    let mut next = None;
    loop {
        let page = store.list(next.as_ref()).await.unwrap();
        assert!(page.objects.len() <= PAGE_LIMIT);
        assert!(page.bad.is_empty(), "{:?}", page.bad);
        assert!(page.problems.is_empty(), "{:?}", page.problems);
        objects.extend(page.objects);
        next = page.next;
        if next.is_none() {
            return objects;
        }
    }
}

async fn first_after(store: &dyn PhotoStore, text: &str) -> ObjectInfo {
    let page = store.list(Some(&Continuation::after_text(text))).await.unwrap();
    page.objects.into_iter().next().unwrap()
}

async fn a_long_listing_comes_in_pages_and_in_order(store: &Arc<dyn PhotoStore>) {
    let mut keys: Vec<ObjectKey> = (0..2500).map(|n| key(&format!("many/{:02}/{n:04}.jpg", n % 50))).collect();
    futures::stream::iter(keys.clone())
        .for_each_concurrent(16, |key| {
            let store = Arc::clone(store);
            async move { store.put(&key, Bytes::from_static(b"x"), "image/jpeg").await.unwrap() }
        })
        .await;
    keys.sort();

    let first = store.list(None).await.unwrap();
    assert_eq!(first.objects.len(), PAGE_LIMIT);
    assert!(first.next.is_some());
    let listed = whole_listing(&**store).await;
    assert!(listed.iter().all(|object| object.bytes == 1));
    assert!(listed.iter().map(|object| &object.key).eq(&keys), "the listing is not what was put");

    // Resumed from a key that was noted down, and from one that is not there.
    let noted = first_after(&**store, keys[1233].as_str()).await;
    assert_eq!(noted.key, keys[1234]);
    let between = first_after(&**store, "many/07/zzz").await;
    assert_eq!(between.key.as_str(), "many/08/0008.jpg");
}

async fn what_was_put_comes_back(store: &dyn PhotoStore) {
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let name = key("round/trip.jpg");
    store.put(&name, Bytes::from(content.clone()), "image/jpeg").await.unwrap();
    let object = store.get(&name, NO_LIMIT).await.unwrap();
    assert!(object.bytes == content, "the content changed on its way");
    assert!(!object.version.is_empty());
    assert_eq!(store.get(&name, NO_LIMIT).await.unwrap().version, object.version);
    assert_eq!(first_after(store, "round/").await.bytes, 300_000);

    put(store, "round/empty", b"").await;
    assert!(store.get(&key("round/empty"), 0).await.unwrap().bytes.is_empty());
}

async fn a_missing_object_is_not_found(store: &dyn PhotoStore) {
    for name in ["missing.jpg", "round/missing.jpg", "no/such/folder.jpg"] {
        match store.get(&key(name), NO_LIMIT).await {
            Err(StoreError::NotFound { key, .. }) => assert_eq!(key.as_str(), name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

async fn an_object_above_the_limit_is_refused(store: &dyn PhotoStore) {
    put(store, "large.jpg", b"0123456789").await;
    assert_eq!(store.get(&key("large.jpg"), 10).await.unwrap().bytes.len(), 10);
    match store.get(&key("large.jpg"), 9).await {
        Err(StoreError::TooLarge { bytes, limit, .. }) => assert_eq!((bytes, limit), (10, 9)),
        other => panic!("{other:?}"),
    }
}

async fn strange_keys_are_kept_as_they_are(store: &dyn PhotoStore) {
    let names = [
        "strange/a b/c  d.jpg",
        "strange/plus+plus.jpg",
        "strange/clinic=c-1/a=b=c.jpg",
        "strange/ä ö/ß.jpg",
        "strange/日本/写真.png",
        "strange/100%25.jpg",
        "strange/this&that.jpg",
        "strange/(1) it's, here!.jpg",
        "strange/.hidden",
        "strange/..dots",
    ];
    for name in names {
        store.put(&key(name), Bytes::from(name), "image/jpeg").await.unwrap();
    }
    for name in names {
        assert_eq!(store.get(&key(name), NO_LIMIT).await.unwrap().bytes, name, "{name}");
    }
    let listed = whole_listing(store).await;
    for name in names {
        assert!(listed.iter().any(|object| object.key.as_str() == name), "{name} is not listed");
    }
}

async fn another_content_is_another_version(store: &dyn PhotoStore) {
    put(store, "version/a.jpg", b"before").await;
    let got = store.get(&key("version/a.jpg"), NO_LIMIT).await.unwrap();
    let listed = first_after(store, "version/").await;

    put(store, "version/a.jpg", b"and after").await;
    let got_again = store.get(&key("version/a.jpg"), NO_LIMIT).await.unwrap();
    let listed_again = first_after(store, "version/").await;
    assert_eq!(got_again.bytes, "and after");
    assert_ne!(got_again.version, got.version);
    assert_ne!(listed_again.version, listed.version);
    assert_eq!(listed_again.bytes, 9);
}
