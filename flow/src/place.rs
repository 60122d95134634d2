//! Places: the location of an address, geographical and in the routing system.

use alloc::boxed::Box;

/// Facts about the network of an address. Databases have some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Two letters, `EU`.
    pub continent_code: Option<Box<str>>,
    /// In English.
    pub continent_name: Option<Box<str>>,
    /// Two letters (ISO 3166-1), `DE`.
    pub country_code: Option<Box<str>>,
    /// In English.
    pub country_name: Option<Box<str>>,
    /// Country and subdivision (ISO 3166-2), `US-CA`.
    pub region_code: Option<Box<str>>,
    /// In English.
    pub region_name: Option<Box<str>>,
    /// In English.
    pub city_name: Option<Box<str>>,
    /// Geographical location.
    pub location: Option<Location>,
    /// The number of the Autonomous System that announces the network; never 0.
    pub as_number: Option<u32>,
    /// The organization of the Autonomous System.
    pub as_organization: Option<Box<str>>,
    /// The name that the operator gave the network.
    pub network_name: Option<Box<str>>,
    /// The operator's use of the network.
    pub network_role: Option<Box<str>>,
    /// The operator's site.
    pub site: Option<Box<str>>,
    /// The length of the network's prefix, if the operator's own networks include it.
    pub prefix_length: Option<u8>,
}

/// A point on Earth, in millionths of a degree: 11 cm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// North is positive; at most 90 degrees.
    pub latitude: i32,
    /// East is positive; at most 180 degrees.
    pub longitude: i32,
}

impl Location {
    /// The point at these degrees, if they are in range.
    pub fn of_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let latitude = millionths(latitude, 90.0)?;
        Some(Self { latitude, longitude: millionths(longitude, 180.0)? })
    }
}

fn millionths(degrees: f64, most: f64) -> Option<i32> {
    let is_there = degrees.is_finite() && (-most..=most).contains(&degrees);
    let half = if degrees < 0.0 { -0.5 } else { 0.5 };
    #[expect(clippy::cast_possible_truncation, reason = "180 million fit in 32 bits")]
    is_there.then_some((degrees * 1e6 + half) as i32)
}

impl Place {
    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if any geographical fact is known.
    pub fn has_geography(&self) -> bool {
        let texts = [
            &self.continent_code,
            &self.continent_name,
            &self.country_code,
            &self.country_name,
            &self.region_code,
            &self.region_name,
            &self.city_name,
            &self.site,
        ];
        self.location.is_some() || texts.into_iter().any(Option::is_some)
    }

    /// Adds facts from another source that are not known yet. Sources may disagree, so a name is
    /// only added to the same code, a city to the same country, and an organization to the same
    /// Autonomous System.
    pub fn complete_with(&mut self, other: Self) {
        let had_geography = self.has_geography();
        let same_country = self.country_code == other.country_code;
        if !had_geography || same_country || other.country_code.is_none() {
            let same_region = !had_geography || is_compatible(&self.city_name, &other.city_name);
            fill(&mut self.continent_code, other.continent_code);
            fill(&mut self.continent_name, other.continent_name);
            fill(&mut self.country_code, other.country_code);
            fill(&mut self.country_name, other.country_name);
            if same_region {
                fill(&mut self.region_code, other.region_code);
                fill(&mut self.region_name, other.region_name);
                fill(&mut self.city_name, other.city_name);
                fill(&mut self.location, other.location);
            }
        }
        if self.as_number.is_none() || self.as_number == other.as_number {
            fill(&mut self.as_number, other.as_number);
            fill(&mut self.as_organization, other.as_organization);
        }
        fill(&mut self.network_name, other.network_name);
        fill(&mut self.network_role, other.network_role);
        fill(&mut self.site, other.site);
        fill(&mut self.prefix_length, other.prefix_length);
    }
}

/// True if both can be the same.
fn is_compatible(one: &Option<Box<str>>, other: &Option<Box<str>>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn fill<T>(known: &mut Option<T>, other: Option<T>) {
    if known.is_none() {
        *known = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<Box<str>> {
        Some(text.into())
    }

    #[test]
    fn what_is_missing_comes_from_the_next_source() {
        let mut place = Place { country_code: text("DE"), ..Place::default() };
        let city = Place {
            country_code: text("DE"),
            country_name: text("Germany"),
            city_name: text("Bonn"),
            ..Place::default()
        };
        place.complete_with(city);
        let system = Place { as_number: Some(680), as_organization: text("DFN"), ..place.clone() };
        place.complete_with(Place { country_code: None, ..system });
        let found = (place.country_name.as_deref(), place.city_name.as_deref(), place.as_number);
        assert_eq!(found, (Some("Germany"), Some("Bonn"), Some(680)));
        assert_eq!(place.as_organization.as_deref(), Some("DFN"));
    }

    #[test]
    fn sources_that_disagree_are_not_mixed() {
        let known = Place { country_code: text("DE"), as_number: Some(680), ..Place::default() };
        let mut place = known.clone();
        place.complete_with(Place {
            continent_code: text("NA"),
            country_code: text("US"),
            country_name: text("United States"),
            city_name: text("Boston"),
            location: Location::of_degrees(42.0, -71.0),
            as_number: Some(3),
            as_organization: text("MIT"),
            ..Place::default()
        });
        assert_eq!(place, known);
    }

    #[test]
    fn points_are_rounded_and_on_earth() {
        let at = |latitude, longitude| Location { latitude, longitude };
        assert_eq!(Location::of_degrees(50.1109, -8.682_126_6), Some(at(50_110_900, -8_682_127)));
        assert_eq!(Location::of_degrees(-90.0, 180.0), Some(at(-90_000_000, 180_000_000)));
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0)] {
            assert_eq!(Location::of_degrees(latitude, longitude), None);
        }
    }
}
