//! The word lists under `words/`: names, nicknames, products, cities, slot values.
//!
//! Every list was written for this company. Brands, firms and persons are invented; the
//! phone and certificate numbers made from them belong to nobody.

/// A product of the catalogue.
pub(crate) struct Product {
    pub(crate) category: &'static str,
    pub(crate) noun: &'static str,
    pub(crate) name: &'static str,
    pub(crate) model: &'static str,
    pub(crate) price: u32,
    pub(crate) size: &'static str,
    pub(crate) features: Vec<&'static str>,
}

/// A city with shops in it.
pub(crate) struct City {
    pub(crate) name: &'static str,
    pub(crate) region: &'static str,
    /// Hundredths of a degree.
    pub(crate) longitude: i64,
    /// Hundredths of a degree.
    pub(crate) latitude: i64,
    pub(crate) shops: Vec<&'static str>,
    pub(crate) roads: Vec<&'static str>,
}

/// A given name; `female` guides the form of address.
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) pinyin: &'static str,
    pub(crate) female: bool,
}

/// All lists.
pub(crate) struct Words {
    pub(crate) products: Vec<Product>,
    pub(crate) cities: Vec<City>,
    /// (character, pinyin), common ones first.
    pub(crate) surnames: Vec<(&'static str, &'static str)>,
    pub(crate) given: Vec<Given>,
    pub(crate) nicknames: Vec<&'static str>,
    pub(crate) babies: Vec<&'static str>,
    pub(crate) english: Vec<&'static str>,
    pub(crate) companies: Vec<&'static str>,
    /// Slot name and its values.
    pub(crate) slots: Vec<(&'static str, Vec<&'static str>)>,
}

const HOME: &[&str] = &[
    "fridge", "washer", "ac", "tv", "heater", "hood", "robot", "purifier", "cooker",
];
const BABY: &[&str] = &["stroller", "seat", "toy", "bottle", "diaper", "milk"];

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

impl Words {
    /// Reads the lists that are built into the crate; says which line is malformed.
    pub(crate) fn load() -> Result<Self, String> {
        Ok(Self {
            products: lines(include_str!("words/products.txt"))
                .map(|line| product(line).ok_or_else(|| format!("product `{line}`")))
                .collect::<Result<_, _>>()?,
            cities: lines(include_str!("words/cities.txt"))
                .map(|line| city(line).ok_or_else(|| format!("city `{line}`")))
                .collect::<Result<_, _>>()?,
            surnames: lines(include_str!("words/surnames.txt"))
                .map(|line| {
                    line.split_once(' ')
                        .ok_or_else(|| format!("surname `{line}`"))
                })
                .collect::<Result<_, _>>()?,
            given: lines(include_str!("words/given.txt"))
                .map(|line| given(line).ok_or_else(|| format!("given name `{line}`")))
                .collect::<Result<_, _>>()?,
            nicknames: lines(include_str!("words/nicknames.txt")).collect(),
            babies: lines(include_str!("words/babies.txt")).collect(),
            english: lines(include_str!("words/english.txt")).collect(),
            companies: lines(include_str!("words/companies.txt")).collect(),
            slots: lines(include_str!("words/slots.txt"))
                .map(|line| {
                    let (name, values) = line
                        .split_once('=')
                        .ok_or_else(|| format!("slot `{line}`"))?;
                    let values = if name == "doc" {
                        vec![values]
                    } else {
                        values.split('/').collect()
                    };
                    Ok::<_, String>((name, values))
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// The number of a slot's list, by name.
    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|(known, _)| *known == name)
    }

    /// Products of the categories named (`home` and `baby` are groups; none means all).
    pub(crate) fn of_categories(&self, names: &[&str]) -> Vec<usize> {
        let wanted = |category: &str| {
            names.is_empty()
                || names.iter().any(|name| match *name {
                    "home" => HOME.contains(&category),
                    "baby" => BABY.contains(&category),
                    one => one == category,
                })
        };
        (0..self.products.len())
            .filter(|index| wanted(self.products[*index].category))
            .collect()
    }
}

fn product(line: &'static str) -> Option<Product> {
    let mut cells = line.split('|');
    Some(Product {
        category: cells.next()?,
        noun: cells.next()?,
        name: cells.next()?,
        model: cells.next()?,
        price: cells.next()?.parse().ok()?,
        size: cells.next()?,
        features: cells.next()?.split(',').collect(),
    })
}

fn hundredths(text: &str) -> Option<i64> {
    text.replace('.', "").parse().ok()
}

fn city(line: &'static str) -> Option<City> {
    let mut cells = line.split('|');
    Some(City {
        name: cells.next()?,
        region: cells.next()?,
        longitude: hundredths(cells.next()?)?,
        latitude: hundredths(cells.next()?)?,
        shops: cells.next()?.split(',').collect(),
        roads: cells.next()?.split(',').collect(),
    })
}

fn given(line: &'static str) -> Option<Given> {
    let mut cells = line.split(' ');
    Some(Given {
        name: cells.next()?,
        pinyin: cells.next()?,
        female: cells.next()? == "2",
    })
}
