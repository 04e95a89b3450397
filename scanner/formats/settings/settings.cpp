// Settings of developers' tools in TOML, INI and Git's syntax: what runs, or is imported, when
// somebody builds, tests, lints or only opens the repository. Names of files decide which tool
// reads them. See README.md.
#include "scanner/formats/settings/settings_reader.hpp"

#include "scanner/code/shell/report.hpp"
#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_max_text = std::size_t{1} << 20;
constexpr std::size_t k_told = 16; ///< findings of one rule
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::string_view k_project = "pyproject.toml";
constexpr std::string_view k_cfg =
    "setup.cfg|tox.ini|pytest.ini|.pytest.ini|mypy.ini|.mypy.ini|.coveragerc|.pylintrc|pylintrc|"
    ".flake8|pyproject.toml|pylintrc.toml|.pylintrc.toml";
constexpr std::string_view k_cargo = "**/.cargo/config.toml|**/.cargo/config|.cargo/config*";
constexpr std::string_view k_git = ".gitconfig|*.gitconfig|gitconfig|config|config.worktree|"
                                   ".gitmodules";
constexpr std::string_view k_npm = ".npmrc|npmrc|bunfig.toml";
constexpr std::string_view k_pip = "pip.conf|pip.ini|uv.toml|.pypirc|pdm.toml|poetry.toml|Pipfile|"
                                   "pyproject.toml|setup.cfg|pydistutils.cfg";
constexpr std::string_view k_all =
    "setup.cfg|tox.ini|pytest.ini|mypy.ini|.mypy.ini|.coveragerc|.pylintrc|pyproject.toml|"
    "**/.cargo/config.toml|.gitconfig|.npmrc|pip.conf|uv.toml";

constexpr std::string_view k_shortcuts =
    "*.url|*.scf|desktop.ini|Desktop.ini|autorun.inf|*.desktop|*.website";

constexpr std::array<Rule, 6> k_rules{{
    {"settings-command", "code", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "CFG-025 GIT-016", "a setting makes a tool run a command of the repository's choice"},
    {"settings-task", "code", Severity::informational, Reach::load, "", k_atlas, "CFG-025",
     "a tool has a command that runs when somebody asks for it"},
    {"settings-code", "code", Severity::informational, Reach::load, "CWE-829", k_atlas,
     "CFG-025 CFG-019", "a tool imports or runs this code when it is used on the repository"},
    {"settings-code-outside", "traversal", Severity::suspicious, Reach::load, "CWE-22", k_atlas,
     "CFG-025", "the code that a tool runs lies outside of the repository"},
    {"settings-index", "reference", Severity::informational, Reach::load, "CWE-427",
     "AML.T0010.001", "CFG-019 CFG-025", "packages come from an index that the repository chose"},
    {"settings-remote-file", "reference", Severity::suspicious, Reach::load, "CWE-522",
     "AML.T0011.000", "CFG-025",
     "looking at the folder makes the system fetch a file of another machine, and log in there"},
}};

const Rule& k_command = k_rules[0];
const Rule& k_task = k_rules[1];
const Rule& k_code = k_rules[2];
const Rule& k_outside = k_rules[3];
const Rule& k_index = k_rules[4];
const Rule& k_remote = k_rules[5];

enum class What {
  command, ///< run by the tool itself
  task,    ///< run when somebody asks for it
  alias,   ///< of Git: a command when it begins with '!'
  module,  ///< a module or file that is imported
  script,  ///< a Python file that is run
  python,  ///< Python source that is run
  plugin,  ///< options among which `-p module` imports
  index,   ///< where packages come from
  shown,   ///< a file that a desktop reads to show an entry
};

struct Row {
  std::string_view names;
  std::string_view path; ///< a glob on the dotted path
  What what;
};

constexpr std::array k_rows{
    // Builds.
    Row{k_project, "build-system.backend-path", What::script},
    Row{k_project, "tool.poetry.build", What::script},
    Row{k_project, "tool.poetry.build.script", What::script},
    Row{k_project, "tool.pdm.build.custom-hook", What::script},
    Row{k_project, "tool.pdm.version.getter", What::module},
    Row{k_project, "tool.pdm.plugins", What::task},
    Row{k_project, "tool.hatch.*.custom.path", What::script},
    Row{k_project, "tool.setuptools.cmdclass.*", What::module},
    Row{"setup.cfg", "options.cmdclass.*", What::module},
    Row{"setup.cfg|pydistutils.cfg", "global.command-packages", What::module},
    Row{"setup.cfg|pydistutils.cfg", "global.command_packages", What::module},
    Row{k_project, "tool.cibuildwheel.*before-*", What::task},
    // Tasks.
    Row{k_project, "tool.pdm.scripts.*", What::task},
    Row{k_project, "tool.hatch.envs.*.scripts.*", What::task},
    Row{k_project, "tool.hatch.envs.*.pre-install-commands", What::task},
    Row{k_project, "tool.hatch.envs.*.post-install-commands", What::task},
    Row{k_project, "tool.poe.tasks.*", What::task},
    Row{k_project, "tool.taskipy.tasks.*", What::task},
    Row{k_project, "tool.rye.scripts.*", What::task},
    Row{k_project, "tool.tox.*commands*", What::task},
    Row{"Pipfile", "scripts.*", What::task},
    Row{"tox.ini|setup.cfg", "testenv*.commands*", What::task},
    Row{"tox.ini|setup.cfg", "*.list_dependencies_command", What::task},
    Row{"tox.ini|setup.cfg", "*.install_command", What::task},
    // Checkers and test runners: they import what they are told to.
    Row{k_cfg, "tool.mypy.plugins", What::module},
    Row{k_cfg, "mypy.plugins", What::module},
    Row{k_cfg, "*.load-plugins", What::module},
    Row{k_cfg, "*.init-hook", What::python},
    Row{k_cfg, "*.addopts", What::plugin},
    Row{k_cfg, "tool.coverage.run.plugins", What::module},
    Row{k_cfg, "run.plugins", What::module},
    Row{k_cfg, "coverage:run.plugins", What::module},
    Row{k_cfg, "flake8:local-plugins.*", What::module},
    // Cargo.
    Row{k_cargo, "build.rustc*", What::command},
    Row{k_cargo, "build.rustdoc", What::command},
    Row{k_cargo, "target.*.runner", What::command},
    Row{k_cargo, "target.*.linker", What::command},
    Row{k_cargo, "registry.global-credential-providers", What::command},
    Row{k_cargo, "registries.*.credential-provider", What::command},
    Row{k_cargo, "credential-alias.*", What::command},
    Row{k_cargo, "source.*.registry", What::index},
    Row{k_cargo, "registries.*.index", What::index},
    // Git.
    Row{k_git, "core.fsmonitor", What::command},
    Row{k_git, "core.sshcommand", What::command},
    Row{k_git, "core.hookspath", What::command},
    Row{k_git, "core.pager", What::command},
    Row{k_git, "core.editor", What::command},
    Row{k_git, "core.askpass", What::command},
    Row{k_git, "core.gitproxy", What::command},
    Row{k_git, "core.alternaterefscommand", What::command},
    Row{k_git, "sequence.editor", What::command},
    Row{k_git, "pager.*", What::command},
    Row{k_git, "gpg*.program", What::command},
    Row{k_git, "credential**helper", What::command},
    Row{k_git, "diff.external", What::command},
    Row{k_git, "diff.*.textconv", What::command},
    Row{k_git, "diff.*.command", What::command},
    Row{k_git, "difftool.*.cmd", What::command},
    Row{k_git, "mergetool.*.cmd", What::command},
    Row{k_git, "merge.*.driver", What::command},
    Row{k_git, "filter.*.clean", What::command},
    Row{k_git, "filter.*.smudge", What::command},
    Row{k_git, "filter.*.process", What::command},
    Row{k_git, "submodule.*.update", What::alias},
    Row{k_git, "uploadpack.packobjectshook", What::command},
    Row{k_git, "remote.*.uploadpack", What::command},
    Row{k_git, "remote.*.receivepack", What::command},
    Row{k_git, "remote.*.vcs", What::command},
    Row{k_git, "lfs.customtransfer.*.path", What::command},
    Row{k_git, "lfs.extension.*.clean", What::command},
    Row{k_git, "lfs.extension.*.smudge", What::command},
    Row{k_git, "alias.*", What::alias},
    Row{k_git, "include*.path", What::script},
    // npm and bun.
    Row{k_npm, "script-shell", What::command},
    Row{k_npm, "node-options", What::command},
    Row{k_npm, "git", What::command},
    Row{k_npm, "preload", What::script},
    Row{k_npm, "registry", What::index},
    Row{k_npm, "*:registry", What::index},
    // Entries of desktops.
    Row{k_shortcuts, "internetshortcut.url", What::shown},
    Row{k_shortcuts, "internetshortcut.iconfile", What::shown},
    Row{k_shortcuts, "internetshortcut.workingdirectory", What::shown},
    Row{k_shortcuts, "shell.iconfile", What::shown},
    Row{k_shortcuts, ".shellclassinfo.icon*", What::shown},
    Row{"autorun.inf", "autorun.open", What::command},
    Row{"autorun.inf", "autorun.shellexecute", What::command},
    // Indexes of packages.
    Row{k_pip, "*index-url", What::index},
    Row{k_pip, "*index_url", What::index},
    Row{k_pip, "*index.url", What::index},
    Row{k_pip, "*source.url", What::index},
    Row{k_pip, "*.find-links", What::index},
    Row{k_pip, "*.repository", What::index},
};

// Programs that settings name honestly, by themselves.
bool is_usual_program(std::string_view value) {
  static constexpr std::array<std::string_view, 52> k_usual{
      "true",     "false",       "less",     "vim",           "vi",     "nvim",     "nano",
      "emacs",    "code",        "cat",      "delta",         "clang",  "clang++",  "gcc",
      "lld",      "rust-lld",    "mold",     "sccache",       "ccache", "qemu-arm", "wine",
      "probe-rs", "gpg",         "gpg2",     "store",         "cache",  "gh",       "osxkeychain",
      "manager",  "wincred",     "git",      "ssh",           "bash",   "sh",       "pwsh",
      "meld",     "vimdiff",     "bat",      "most",          "more",   "subl",     "notepad",
      "exif",     "astextplain", "nbdime",   "diff-so-fancy", "rebase", "merge",    "none",
      "checkout", "cargo:token", "libsecret"};
  return std::find(k_usual.begin(), k_usual.end(), value) != k_usual.end();
}

// A program's name and options alone: no path, nothing that a shell would act on.
bool is_plain_command(std::string_view value) {
  const std::string_view program = value.substr(0, value.find(' '));
  const bool lfs = value.starts_with("git-lfs ") || value.starts_with("git lfs ") ||
                   value.starts_with("git-xet ") || value.starts_with("nbstripout") ||
                   value.starts_with("nbdime ") || value.starts_with("git-nbdiffdriver ") ||
                   value.starts_with("git-nbmergedriver ") || value.starts_with("code --wait") ||
                   value.starts_with("!gh auth git-credential") ||
                   value.starts_with("!/usr/bin/gh auth");
  if (value.find_first_of(";|&`$<>") != std::string_view::npos) return false;
  const bool compiler =
      program.find_first_of("/\\") == std::string_view::npos && program.ends_with("-gcc");
  return lfs || compiler || is_usual_program(program);
}

// credential.helper = x: Git runs the program git-credential-x of this machine.
bool is_helper(std::string_view path, std::string_view value) {
  return path.starts_with("credential.") &&
         value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
             std::string_view::npos;
}

class Judge final : public settings::Listener {
public:
  explicit Judge(Session& session) : session_(session) {}
  void on_setting(std::string_view path, std::string_view value, std::uint64_t offset) override;
  bool found() const { return found_; }

private:
  void judge(const Row& row, std::string_view path, std::string_view value, std::uint64_t offset);
  void find(const Rule& rule, const Row& row, std::string_view path, std::string_view value,
            std::uint64_t offset, std::optional<Severity> severity = {});
  void place(const Row& row, std::string_view path, std::string_view value, std::uint64_t offset);
  /// What a shell would do with it.
  std::size_t shell(const Row& row, std::string_view value, std::uint64_t offset, bool loaded);

  Session& session_;
  std::map<std::string_view, std::size_t> told_;
  bool found_ = false;
};

void Judge::find(const Rule& rule, const Row& row, std::string_view path, std::string_view value,
                 std::uint64_t offset, std::optional<Severity> severity) {
  found_ = true;
  if (++told_[rule.id] > k_told) return;
  session_.find(rule, offset, 0, std::string(path) + " = " + std::string(value.substr(0, 400)),
                {.severity = severity, .condition = row.names});
}

std::size_t Judge::shell(const Row& row, std::string_view value, std::uint64_t offset,
                         bool loaded) {
  if (!shell::may_have_signs(value)) return 0;
  const std::size_t signs = shell::report_shell(value,
                                                {.offset = offset,
                                                 .verbatim = false,
                                                 .condition = row.names,
                                                 .loaded = loaded,
                                                 .prose = !loaded},
                                                session_);
  found_ = found_ || signs > 0;
  return signs;
}

// A file or a module of the repository.
void Judge::place(const Row& row, std::string_view path, std::string_view value,
                  std::uint64_t offset) {
  const bool file = value.ends_with(".py") || value.find('/') != std::string_view::npos;
  const config::PathFacts facts = config::judge_path(value);
  const bool leaves = file && (facts.kind != config::PathKind::relative || facts.sensitive);
  const std::string_view name = value.substr(0, value.find(':'));
  // Cython's own plugin, as coverage.py's manual names it
  const bool harmful = !file && config::is_dotted_name(name) && name != "Cython.Coverage" &&
                       config::judge_target(name).standing == config::Standing::dangerous;
  find(leaves ? k_outside : k_code, row, path, value, offset,
       harmful ? std::optional(Severity::malicious) : std::nullopt);
  if (leaves) return;
  if (file)
    session_.refer("code", offset, value, row.names);
  else
    session_.refer("import", offset, name, row.names);
}

void Judge::judge(const Row& row, std::string_view path, std::string_view value,
                  std::uint64_t offset) {
  switch (row.what) {
  case What::command:
    if (value == "true" || value == "false" || value == "1" || value == "0") return;
    shell(row, value, offset, true);
    find(k_command, row, path, value, offset,
         is_plain_command(value) || is_helper(path, value) ? std::optional(Severity::informational)
                                                           : std::nullopt);
    return;
  case What::alias:
    if (!value.starts_with('!')) return;
    [[fallthrough]];
  case What::task:
    shell(row, value, offset, false);
    find(k_task, row, path, value, offset);
    return;
  case What::module:
    for (std::size_t at = 0; at < value.size();) {
      const std::size_t end = std::min(value.find_first_of(", \n\t", at), value.size());
      if (end > at) place(row, path, value.substr(at, end - at), offset);
      at = end + 1;
    }
    return;
  case What::script:
    if (value != ".") place(row, path, value, offset);
    return;
  case What::python: {
    find(k_code, row, path, value, offset);
    const std::string copy(value);
    MemorySource source(as_bytes(copy));
    session_.embedded("init-hook.py", source);
    return;
  }
  case What::plugin:
    for (std::size_t at = value.find("-p"); at != std::string_view::npos;
         at = value.find("-p", at + 2)) {
      if (at > 0 && value[at - 1] != ' ' && value[at - 1] != '\n') continue;
      std::size_t begin = at + 2;
      while (begin < value.size() && (value[begin] == ' ' || value[begin] == '='))
        ++begin;
      const std::size_t end = std::min(value.find_first_of(" \n", begin), value.size());
      const std::string_view name = value.substr(begin, end - begin);
      if (!name.empty() && !name.starts_with("no:")) place(row, path, name, offset);
    }
    return;
  case What::shown: {
    // \\host\share\x, file://host/x: neither this machine nor the web
    const bool share = value.starts_with("\\\\") || value.starts_with("//");
    const bool host = value.starts_with("file://") && value.size() > 7 && value[7] != '/';
    if (share || host) find(k_remote, row, path, value, offset);
    return;
  }
  case What::index: {
    // where a project says that its sources are: nobody fetches packages from there
    if (path.starts_with("project.") || path == "tool.poetry.repository") return;
    const std::size_t scheme = value.find("://");
    if (scheme == std::string_view::npos) return;
    std::string_view host = value.substr(scheme + 3);
    host = host.substr(0, host.find_first_of("/:"));
    const bool number = host.find_first_not_of("0123456789.") == std::string_view::npos;
    const bool plain = value.starts_with("http://") || number;
    find(k_index, row, path, value, offset,
         plain ? std::optional(Severity::suspicious) : std::nullopt);
    session_.refer("url", offset, value, row.names);
    return;
  }
  }
}

void Judge::on_setting(std::string_view path, std::string_view value, std::uint64_t offset) {
  if (path.empty()) return;
  for (const Row& row: k_rows)
    if ((row.path[0] == '*' || row.path[0] == path[0]) &&
        glob_matches(row.path, path, Case::sensitive))
      judge(row, path, value, offset);
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  return !head.empty() && head.find('\0') == std::string_view::npos &&
                 head.find('=') != std::string_view::npos
             ? Claim::maybe
             : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const Bytes bytes = source.view(0, k_max_text);
  const std::string text(as_text(bytes));
  if (text.find('\0') != std::string::npos) return Reading::none;
  const bool unread = text.size() == k_max_text;
  if (unread)
    session.gap(Reason::budget, Reach::load, k_max_text, "settings of more than 1 MiB", k_all);
  Judge judge(session);
  settings::read_settings(text, judge);
  return unread ? Reading::none : judge.found() ? Reading::valid : Reading::none;
}

} // namespace

extern const Format format_settings;
const Format format_settings{.name = "settings",
                             .family = "text",
                             .probe = probe,
                             .scan = scan,
                             .rules = k_rules,
                             .data_version = "settings 3",
                             .weak = true};

} // namespace hubgate
