use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::tree::refused;
use super::*;
use crate::KeyError;

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

async fn whole_listing(store: &FolderStore) -> Page {
    let page = store.list(None).await.unwrap();
    assert_eq!(page.next, None);
    page
}

fn names(page: &Page) -> Vec<&str> {
    page.objects.iter().map(|object| object.key.as_str()).collect()
}

#[tokio::test]
async fn an_unreadable_folder_is_told_and_the_others_are_listed() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a/1.jpg", "b/2.jpg", "c/3.jpg"] {
        write(home.path(), name, "x");
    }
    if fs::metadata(home.path()).unwrap().uid() == 0 {
        println!("skipped: root may read every folder, run the tests as another user");
        return;
    }
    fs::set_permissions(home.path().join("b"), fs::Permissions::from_mode(0o000)).unwrap();
    let page = whole_listing(&FolderStore::open(home.path()).unwrap()).await;
    fs::set_permissions(home.path().join("b"), fs::Permissions::from_mode(0o700)).unwrap();

    assert_eq!(names(&page), ["a/1.jpg", "c/3.jpg"]);
    assert_eq!(page.problems.len(), 1);
    assert_eq!(page.problems[0].place, "b/");
    assert!(matches!(page.problems[0].error, StoreError::Denied { .. }));
}

#[tokio::test]
async fn a_link_is_neither_listed_nor_read_nor_written_through() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.jpg", "secret");
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "photo.jpg", "x");
    symlink(outside.path(), home.path().join("folder")).unwrap();
    symlink(outside.path().join("secret.jpg"), home.path().join("file.jpg")).unwrap();

    let store = FolderStore::open(home.path()).unwrap();
    let page = whole_listing(&store).await;
    assert_eq!(names(&page), ["photo.jpg"]);
    let told: Vec<&str> = page.problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(told, ["file.jpg", "folder"]);

    for through in ["file.jpg", "folder/secret.jpg"] {
        let error = store.get(&key(through), 1000).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    }
    let put = store.put(&key("folder/new.jpg"), Bytes::new(), "image/jpeg").await;
    assert!(matches!(put, Err(StoreError::Denied { .. })));
    assert!(!outside.path().join("new.jpg").exists());

    store.put(&key("file.jpg"), Bytes::from_static(b"mine"), "image/jpeg").await.unwrap();
    assert_eq!(fs::read(outside.path().join("secret.jpg")).unwrap(), b"secret");
}

#[tokio::test]
async fn names_that_are_no_keys_are_told_in_their_place() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "b\\c.jpg", "d\ne.jpg", "f.jpg"] {
        write(home.path(), name, "x");
    }
    let page = whole_listing(&FolderStore::open(home.path()).unwrap()).await;
    assert_eq!(names(&page), ["a.jpg", "f.jpg"]);
    let bad: Vec<(&str, KeyError)> = page.bad.iter().map(|b| (b.key.as_str(), b.why)).collect();
    assert_eq!(bad, [("b\\c.jpg", KeyError::Backslash), ("d\ne.jpg", KeyError::Control)]);
}

#[tokio::test]
async fn a_tree_deeper_than_a_key_ends_the_walk_there() {
    let home = tempfile::tempdir().unwrap();
    let deep = vec!["d".repeat(100); 7].join("/");
    write(home.path(), &format!("{deep}/x.jpg"), "x");
    let page = whole_listing(&FolderStore::open(home.path()).unwrap()).await;
    assert!(page.objects.is_empty());
    assert_eq!(page.bad.len(), 1);
    assert!(matches!(page.bad[0].why, KeyError::TooLong(_)));
}

#[tokio::test]
async fn a_listing_goes_on_in_another_process_where_this_one_stopped() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..1500 {
        write(home.path(), &format!("{}/{:04}.jpg", n % 7, n), "x");
    }
    let first = FolderStore::open(home.path()).unwrap();
    let head = first.list(None).await.unwrap();
    let next = head.next.clone().unwrap();
    let here = first.list(Some(&next)).await.unwrap();

    let mark = Continuation::after_text(next.as_str());
    let there = FolderStore::open(home.path()).unwrap().list(Some(&mark)).await.unwrap();
    assert_eq!(here.objects, there.objects);
    assert_eq!(head.objects.len() + here.objects.len(), 1500);
    assert_eq!(here.next, None);
}

#[tokio::test]
async fn a_put_leaves_no_unfinished_file_and_a_listing_shows_none() {
    let home = tempfile::tempdir().unwrap();
    let store = FolderStore::create(home.path()).unwrap();
    store.put(&key("a/b.jpg"), Bytes::from_static(b"x"), "image/jpeg").await.unwrap();
    assert_eq!(fs::read_dir(home.path().join("a")).unwrap().count(), 1);

    write(home.path(), "a/.cicatrix-part-1-1", "of a process that was killed");
    assert_eq!(names(&whole_listing(&store).await), ["a/b.jpg"]);
}

#[tokio::test]
async fn a_file_where_a_folder_is_needed_is_told() {
    let home = tempfile::tempdir().unwrap();
    let store = FolderStore::create(home.path()).unwrap();
    store.put(&key("a"), Bytes::new(), "image/jpeg").await.unwrap();
    let error = store.put(&key("a/b"), Bytes::new(), "image/jpeg").await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    let error = store.get(&key("a/b"), 10).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    let error = FolderStore::open(home.path().join("a")).unwrap_err();
    assert!(error.to_string().contains("no folder"), "{error}");
}

#[tokio::test]
async fn a_folder_that_went_away_is_not_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("disk");
    let store = FolderStore::create(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    let gone = store.put(&key("a/b"), Bytes::new(), "image/jpeg").await;
    assert!(matches!(gone, Err(StoreError::NoSuchFolder { .. })));
    assert!(matches!(store.check().await, Err(StoreError::NoSuchFolder { .. })));
    assert!(matches!(store.list(None).await, Err(StoreError::NoSuchFolder { .. })));
    assert!(!path.exists());
}

#[test]
fn an_error_of_the_system_says_who_has_to_act() {
    let told = |kind: ErrorKind| refused("/photos", "write to", &io::Error::from(kind));
    assert!(matches!(told(ErrorKind::StorageFull), StoreError::Full { .. }));
    assert!(matches!(told(ErrorKind::QuotaExceeded), StoreError::Full { .. }));
    assert!(matches!(told(ErrorKind::ReadOnlyFilesystem), StoreError::Denied { .. }));
    assert!(matches!(told(ErrorKind::PermissionDenied), StoreError::Denied { .. }));
    assert!(told(ErrorKind::StaleNetworkFileHandle).is_transient());
    assert!(told(ErrorKind::TimedOut).is_transient());
}
