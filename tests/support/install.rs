//! Servers that tests talk to, from Maven and PyPI. They are kept in the target directory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of all servers, in the target directory.
pub fn engines() -> Result<PathBuf, String> {
    let test = env::current_exe().map_err(text)?;
    // The test is in TARGET/PROFILE/deps.
    let target = test.ancestors().nth(3).ok_or("the target directory is not found")?;
    let folder = target.join("engines");
    fs::create_dir_all(&folder).map_err(text)?;
    Ok(folder)
}

/// Fetches the jars that a project depends on into its folder `lib`.
pub fn fetch_jars(project: &str, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(text)?;
    fs::write(folder.join("pom.xml"), project).map_err(text)?;
    let goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", goal, "-DoutputDirectory=lib"]).current_dir(folder);
    execute(&mut maven)
}

/// Fetches Python packages, given as arguments of pip, into a folder.
pub fn fetch_python(packages: &[&str], folder: &Path) -> Result<(), String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(folder).args(packages);
    execute(&mut pip)
}

/// Runs a command. The error has all that it has said.
pub fn execute(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let program = command.get_program().display();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&said)))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

pub fn text(error: impl ToString) -> String {
    error.to_string()
}
