//! A list of the API: its items as far as they can be read.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most items that are kept: a node runs some hundreds of pods.
pub(super) const MOST: usize = 10_000;

/// The items of `{"items": […]}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<T> {
    /// Those before the first that cannot be read.
    pub(super) items: Vec<T>,
    /// All could be read.
    pub(super) is_whole: bool,
}

impl<T: for<'a> Deserialize<'a>> List<T> {
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut items = Vec::new();
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = Whole(&mut items).deserialize(&mut reader).and_then(|()| reader.end());
        Self { items, is_whole: read.is_ok() }
    }
}

struct Whole<'a, T>(&'a mut Vec<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Whole<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_list = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(Items(&mut *self.0, PhantomData))?;
                is_list = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_list { Ok(()) } else { Err(serde::de::Error::missing_field("items")) }
    }
}

struct Items<'a, 'de, T>(&'a mut Vec<T>, PhantomData<&'de ()>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Items<'_, 'de, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<'_, 'de, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    /// An empty list of Go's is `null`.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.len() < MOST {
            match seq.next_element()? {
                Some(item) => self.0.push(item),
                None => return Ok(()),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> (Vec<u32>, bool) {
        let list = List::parse(body.as_bytes());
        (list.items, list.is_whole)
    }

    #[test]
    fn items_are_read_as_far_as_they_go() {
        assert_eq!(of(r#"{"kind":"PodList","items":[1,2],"metadata":{}}"#), (vec![1, 2], true));
        assert_eq!(of(r#"{"items":null}"#), (vec![], true));
        assert_eq!(of(r#"{"items":[1,2,"x",4]}"#), (vec![1, 2], false));
        assert_eq!(of(r#"{"items":[1,2"#), (vec![1, 2], false));
        for garbage in ["", "[]", "{}", "null", "<html>", r#"{"items":7}"#, r#"{"items":[]} x"#] {
            assert_eq!(of(garbage), (vec![], false), "{garbage}");
        }
        let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
        assert_eq!(of(&deep), (vec![], false));
    }

    #[test]
    fn there_is_a_most() {
        let many = format!(r#"{{"items":[{}1]}}"#, "1,".repeat(MOST + 5));
        let (items, is_whole) = of(&many);
        assert_eq!((items.len(), is_whole), (MOST, true));
    }
}
