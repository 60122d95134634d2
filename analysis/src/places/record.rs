//! Records of databases, in the formats of their publishers.
//!
//! MaxMind and DB-IP nest their records: `country.iso_code`, `city.names.en`. IPinfo and ipnetdb do
//! not: `country_code`, `asn`, `as_entity`. No key has two meanings, so one type reads all formats.
//! A value of an unexpected type counts as missing: the rest of the record stays useful.

use std::fmt::{self, Formatter};
use std::marker::PhantomData;

use flow::{Location, Place};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A record of a database. Other keys are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Record<'a> {
    continent: Named<'a>,
    continent_code: Scalar<'a>,
    country: Named<'a>,
    country_code: Scalar<'a>,
    country_name: Scalar<'a>,
    /// The country of the Autonomous System, of ipnetdb.
    as_cc: Scalar<'a>,
    subdivisions: First<Named<'a>>,
    region: Named<'a>,
    region_code: Scalar<'a>,
    city: Named<'a>,
    location: Point<'a>,
    latitude: Scalar<'a>,
    longitude: Scalar<'a>,
    lat: Scalar<'a>,
    lng: Scalar<'a>,
    autonomous_system_number: Scalar<'a>,
    autonomous_system_organization: Scalar<'a>,
    asn: Scalar<'a>,
    r#as: Scalar<'a>,
    as_entity: Scalar<'a>,
    as_name: Scalar<'a>,
    traits: Traits<'a>,
}

/// An object with a code and names in several languages, or its only name or code.
#[derive(Debug, Default)]
struct Named<'a> {
    code: Scalar<'a>,
    name: Scalar<'a>,
}

/// The map form of a [`Named`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct NamedMap<'a> {
    code: Scalar<'a>,
    iso_code: Scalar<'a>,
    names: Names<'a>,
}

#[derive(Debug, Default)]
struct Names<'a> {
    english: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct NamesMap<'a> {
    en: Scalar<'a>,
}

#[derive(Debug, Default)]
struct Point<'a> {
    latitude: Scalar<'a>,
    longitude: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct PointMap<'a> {
    latitude: Scalar<'a>,
    longitude: Scalar<'a>,
}

/// The object `traits` of MaxMind's Enterprise databases.
#[derive(Debug, Default)]
struct Traits<'a> {
    autonomous_system_number: Scalar<'a>,
    autonomous_system_organization: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct TraitsMap<'a> {
    autonomous_system_number: Scalar<'a>,
    autonomous_system_organization: Scalar<'a>,
}

/// A text or a number, or nothing.
#[derive(Clone, Copy, Debug, Default)]
enum Scalar<'a> {
    #[default]
    Missing,
    Text(&'a str),
    Whole(u64),
    Real(f64),
}

/// The first item of a list.
#[derive(Debug)]
struct First<T>(Option<T>);

impl Record<'_> {
    /// The place that the record describes.
    pub(super) fn place(&self) -> Place {
        let country = self.country.code.or(self.country_code).or(self.as_cc).text();
        let subdivision = self.subdivisions.0.as_ref();
        let subdivision_code = subdivision.map_or(Scalar::Missing, |it| it.code);
        let subdivision_name = subdivision.map_or(Scalar::Missing, |it| it.name);
        let region = subdivision_code.or(self.region_code).or(self.region.code).text();
        let number = self.autonomous_system_number.or(self.asn).or(self.r#as);
        let organization = self.autonomous_system_organization.or(self.as_entity).or(self.as_name);
        let owned = |text: Option<&str>| text.map(Into::into);
        Place {
            continent_code: owned(self.continent.code.or(self.continent_code).text()),
            continent_name: owned(self.continent.name.text()),
            country_code: owned(country),
            country_name: owned(self.country.name.or(self.country_name).text()),
            region_code: region.zip(country).map(|(region, country)| {
                let is_whole = region.strip_prefix(country).is_some_and(|it| it.starts_with('-'));
                if is_whole { region.into() } else { format!("{country}-{region}").into() }
            }),
            region_name: owned(subdivision_name.or(self.region.name).text()),
            city_name: owned(self.city.name.or(self.city.code).text()),
            location: self.location(),
            as_number: number.or(self.traits.autonomous_system_number).as_number(),
            as_organization: owned(
                organization.or(self.traits.autonomous_system_organization).text(),
            ),
            ..Place::default()
        }
    }

    fn location(&self) -> Option<Location> {
        let latitude = self.location.latitude.or(self.latitude).or(self.lat).degrees()?;
        let longitude = self.location.longitude.or(self.longitude).or(self.lng).degrees()?;
        Location::of_degrees(latitude, longitude)
    }
}

impl<'a> Scalar<'a> {
    fn or(self, other: Self) -> Self {
        if matches!(self, Self::Missing) { other } else { self }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Text(_) | Self::Missing | Self::Whole(_) | Self::Real(_) => None,
        }
    }

    /// The number of an Autonomous System, which may be written as `AS15169`.
    fn as_number(self) -> Option<u32> {
        let number = match self {
            Self::Whole(number) => u32::try_from(number).ok(),
            Self::Text(text) => super::as_number(text),
            Self::Missing | Self::Real(_) => None,
        };
        number.filter(|number| *number != 0)
    }

    fn degrees(self) -> Option<f64> {
        match self {
            Self::Real(degrees) => Some(degrees),
            Self::Whole(degrees) => u8::try_from(degrees).ok().map(f64::from),
            Self::Text(text) => text.parse().ok(),
            Self::Missing => None,
        }
    }
}

/// Implements the visits of scalars: a type makes a value of a scalar.
macro_rules! visit_scalars {
    ($lifetime:lifetime, |$scalar:ident| $value:expr) => {
        fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
            formatter.write_str("any value")
        }

        fn visit_borrowed_str<E>(self, text: &$lifetime str) -> Result<Self::Value, E> {
            let $scalar = Scalar::Text(text);
            Ok($value)
        }

        fn visit_str<E>(self, _text: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_bytes<E>(self, _octets: &[u8]) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            let $scalar = Scalar::Whole(number);
            Ok($value)
        }

        fn visit_u128<E>(self, _number: u128) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
            #[allow(clippy::cast_precision_loss, reason = "degrees are small")]
            let $scalar = Scalar::Real(number as f64);
            Ok($value)
        }

        fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
            let $scalar = Scalar::Real(number);
            Ok($value)
        }
    };
}

/// Implements `Deserialize` for a type that reads a map or a scalar, and ignores other values.
macro_rules! lenient {
    ($name:ident from $map:ident, |$read:ident| $of_map:expr, |$scalar:ident| $of_scalar:expr) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
                struct Lenient;

                impl<'de> Visitor<'de> for Lenient {
                    type Value = $name<'de>;

                    visit_scalars!('de, |$scalar| $of_scalar);

                    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                        let decoder = serde::de::value::MapAccessDeserializer::new(map);
                        let $read = $map::deserialize(decoder)?;
                        Ok($of_map)
                    }

                    fn visit_seq<S: SeqAccess<'de>>(
                        self,
                        mut list: S,
                    ) -> Result<Self::Value, S::Error> {
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        Ok(Self::Value::default())
                    }
                }

                decoder.deserialize_any(Lenient)
            }
        }
    };
}

lenient!(Named from NamedMap,
    |map| Named { code: map.iso_code.or(map.code), name: map.names.english },
    |scalar| Named::of_scalar(scalar));

lenient!(Names from NamesMap, |map| Names { english: map.en }, |_scalar| Names::default());

lenient!(Point from PointMap,
    |map| Point { latitude: map.latitude, longitude: map.longitude },
    |_scalar| Point::default());

lenient!(Traits from TraitsMap,
    |map| Traits {
        autonomous_system_number: map.autonomous_system_number,
        autonomous_system_organization: map.autonomous_system_organization,
    },
    |_scalar| Traits::default());

lenient!(Scalar from Nothing, |_map| Scalar::Missing, |scalar| scalar);

/// A map whose entries are all ignored.
#[derive(Deserialize)]
struct Nothing {}

impl<'a> Named<'a> {
    /// Two capital letters are a code.
    fn of_scalar(scalar: Scalar<'a>) -> Self {
        match scalar {
            Scalar::Text(text)
                if text.len() == 2 && text.bytes().all(|it| it.is_ascii_uppercase()) =>
            {
                Self { code: scalar, ..Self::default() }
            }
            Scalar::Missing | Scalar::Text(_) | Scalar::Whole(_) | Scalar::Real(_) => {
                Self { name: scalar, ..Self::default() }
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        struct Lenient<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Lenient<T> {
            type Value = First<T>;

            visit_scalars!('de, |_scalar| First(None));

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(First(None))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }

        decoder.deserialize_any(Lenient(PhantomData))
    }
}

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}
