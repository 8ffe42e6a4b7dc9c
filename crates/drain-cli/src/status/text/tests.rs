use std::collections::BTreeMap;

use super::super::view::Node;
use super::*;

#[test]
fn placeholder() {
    let _ = (BTreeMap::<u8, u8>::new(), None::<Node>);
}
