//! Records of databases, in the formats of their publishers.
//!
//! MaxMind and DB-IP nest their records: `country.iso_code`, `city.names.en`. IPinfo and ipnetdb do
//! not: `country_code`, `asn`, `as_entity`. No key has two meanings, so one type reads all formats.
//! A value of an unexpected type counts as missing: the rest of the record stays useful.

use std::fmt::{self, Formatter};
use std::marker::PhantomData;

use flow::{Location, Place};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A record of a database. Other keys are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Record<'a> {
    continent: Lenient<Named<'a>>,
    continent_code: Scalar<'a>,
    country: Lenient<Named<'a>>,
    country_code: Scalar<'a>,
    country_name: Scalar<'a>,
    /// The country of the Autonomous System, of ipnetdb.
    as_cc: Scalar<'a>,
    subdivisions: First<Lenient<Named<'a>>>,
    region: Lenient<Named<'a>>,
    region_code: Scalar<'a>,
    city: Lenient<Named<'a>>,
    location: Lenient<Point<'a>>,
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
    traits: Lenient<Traits<'a>>,
}

/// An object with a code and names in several languages, or its only name or code.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Named<'a> {
    code: Scalar<'a>,
    iso_code: Scalar<'a>,
    names: Lenient<Names<'a>>,
    /// The only name.
    #[serde(skip)]
    name: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Names<'a> {
    en: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Point<'a> {
    latitude: Scalar<'a>,
    longitude: Scalar<'a>,
}

/// The object `traits` of MaxMind's Enterprise databases.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Traits<'a> {
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

/// An object, or what a text or a number in its place says. Any other value counts as missing.
#[derive(Debug, Default)]
struct Lenient<T>(T);

/// The first item of a list.
#[derive(Debug)]
struct First<T>(Option<T>);

impl Record<'_> {
    /// The place that the record describes.
    pub(super) fn place(&self) -> Place {
        let Self { continent: Lenient(continent), country: Lenient(country), .. } = self;
        let Self { region: Lenient(region), city: Lenient(city), traits: Lenient(traits), .. } =
            self;
        let country_code = country.code().or(self.country_code).or(self.as_cc).text();
        let subdivision = self.subdivisions.0.as_ref().map(|Lenient(subdivision)| subdivision);
        let subdivision_code = subdivision.map_or(Scalar::Missing, Named::code);
        let subdivision_name = subdivision.map_or(Scalar::Missing, Named::name);
        let region_code = subdivision_code.or(self.region_code).or(region.code()).text();
        let number = self.autonomous_system_number.or(self.asn).or(self.r#as);
        let organization = self.autonomous_system_organization.or(self.as_entity).or(self.as_name);
        let owned = |text: Option<&str>| text.map(Into::into);
        Place {
            continent_code: owned(continent.code().or(self.continent_code).text()),
            continent_name: owned(continent.name().text()),
            country_code: owned(country_code),
            country_name: owned(country.name().or(self.country_name).text()),
            region_code: region_code.zip(country_code).map(|(region, country)| {
                let is_whole = region.strip_prefix(country).is_some_and(|it| it.starts_with('-'));
                if is_whole { region.into() } else { format!("{country}-{region}").into() }
            }),
            region_name: owned(subdivision_name.or(region.name()).text()),
            city_name: owned(city.name().or(city.code()).text()),
            location: self.location(),
            as_number: number.or(traits.autonomous_system_number).as_number(),
            as_organization: owned(organization.or(traits.autonomous_system_organization).text()),
            ..Place::default()
        }
    }

    fn location(&self) -> Option<Location> {
        let Lenient(point) = &self.location;
        let latitude = point.latitude.or(self.latitude).or(self.lat).degrees()?;
        let longitude = point.longitude.or(self.longitude).or(self.lng).degrees()?;
        Location::of_degrees(latitude, longitude)
    }
}

impl<'a> Named<'a> {
    fn code(&self) -> Scalar<'a> {
        self.iso_code.or(self.code)
    }

    fn name(&self) -> Scalar<'a> {
        let Lenient(names) = &self.names;
        names.en.or(self.name)
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

/// What a text or a number says in the place of an object.
trait OfScalar<'de>: Default {
    fn of_scalar(_scalar: Scalar<'de>) -> Self {
        Self::default()
    }
}

impl<'de: 'a, 'a> OfScalar<'de> for Named<'a> {
    /// Two capital letters are a code.
    fn of_scalar(scalar: Scalar<'de>) -> Self {
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

impl OfScalar<'_> for Names<'_> {}
impl OfScalar<'_> for Point<'_> {}
impl OfScalar<'_> for Traits<'_> {}

/// The visits of scalars, of which a value is made. All others give the default.
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
            #[expect(clippy::cast_precision_loss, reason = "degrees are small")]
            let $scalar = Scalar::Real(number as f64);
            Ok($value)
        }

        fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
            let $scalar = Scalar::Real(number);
            Ok($value)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        struct OfAny;

        impl<'de> Visitor<'de> for OfAny {
            type Value = Scalar<'de>;

            visit_scalars!('de, |scalar| scalar);

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                IgnoredAny.visit_map(map).map(|IgnoredAny| Self::Value::default())
            }

            fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Self::Value, S::Error> {
                IgnoredAny.visit_seq(list).map(|IgnoredAny| Self::Value::default())
            }
        }

        decoder.deserialize_any(OfAny)
    }
}

impl<'de, T: Deserialize<'de> + OfScalar<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        struct OfAny<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + OfScalar<'de>> Visitor<'de> for OfAny<T> {
            type Value = Lenient<T>;

            visit_scalars!('de, |scalar| Lenient(T::of_scalar(scalar)));

            fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Self::Value, S::Error> {
                IgnoredAny.visit_seq(list).map(|IgnoredAny| Self::Value::default())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Lenient)
            }
        }

        decoder.deserialize_any(OfAny(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        struct OfAny<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfAny<T> {
            type Value = First<T>;

            visit_scalars!('de, |_scalar| First(None));

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                IgnoredAny.visit_map(map).map(|IgnoredAny| Self::Value::default())
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }

        decoder.deserialize_any(OfAny(PhantomData))
    }
}

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}
