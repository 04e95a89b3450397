#include "hook/install/selftest.hpp"

#include "hook/daemon/client.hpp"
#include "hook/program.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <random>

namespace hubgate::install {
namespace fs = std::filesystem;
namespace {

// A pickle that would call os.system("echo hubgate self-test"): nothing loads it, and nothing would
// happen if somebody did. Protocol 0 (pickletools.py).
constexpr std::string_view k_poison = "cos\nsystem\n(S'echo hubgate self-test'\ntR.";
constexpr std::string_view k_clean = "A clean file of the self-test of hubgate.\n";

// What Gitea, Forgejo and soft-serve put at hooks/pre-receive, so that a scratch repository runs
// pre-receive.d as theirs do: every script, the first failure decides.
constexpr std::string_view k_dispatcher =
    "#!/usr/bin/env bash\n"
    "data=$(cat); exitcodes=\"\"; hookname=$(basename $0); GIT_DIR=${GIT_DIR:-$(dirname $0)/..}\n"
    "for hook in ${GIT_DIR}/hooks/${hookname}.d/*; do\n"
    "  test -x \"${hook}\" && test -f \"${hook}\" || continue\n"
    "  echo \"${data}\" | \"${hook}\"; exitcodes=\"${exitcodes} $?\"\n"
    "done\n"
    "for i in ${exitcodes}; do [ ${i} -eq 0 ] || exit ${i}; done\n";

/// A folder that is gone with its owner.
class Scratch {
public:
  explicit Scratch(fs::path path) : path_(std::move(path)) {}
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

private:
  fs::path path_;
};

Result<fs::path> new_folder(const fs::path& parent, std::string_view name) {
  std::string pattern = (parent / (std::string(name) + "-XXXXXX")).string();
  if (mkdtemp(pattern.data()) == nullptr)
    return Error{"can't make a folder in " + printable(parent.string(), 300) +
                 " (run the self-test "
                 "as the account that owns it)"};
  return fs::path(pattern);
}

// Our environment without what Git would take from it, with the server's home if it has one.
std::vector<std::string> environment(const fs::path& home) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("GIT_") && !text.starts_with("GIT_SSH")) continue;
    if (text.starts_with("HOME=") && !home.empty()) continue;
    out.emplace_back(text);
  }
  if (!home.empty()) out.push_back("HOME=" + home.string());
  for (const auto* who: {"AUTHOR", "COMMITTER"}) {
    out.push_back("GIT_" + std::string(who) + "_NAME=hubgate self-test");
    out.push_back("GIT_" + std::string(who) + "_EMAIL=self-test@hubgate.invalid");
  }
  out.push_back("GIT_TERMINAL_PROMPT=0");
  return out;
}

class Run {
public:
  Run(const SelfTest& test, const std::function<void(const Line&)>& tell)
      : test_(test), tell_(tell),
        environment_(environment(test.url.empty() ? test.request.home : fs::path{})) {}

  Result<bool> run();

private:
  Result<void> make_target();
  Result<std::string> commit(std::string_view branch, std::string_view file, std::string_view data);
  Result<ProgramOutcome> git(std::vector<std::string> words, const fs::path& in);
  Result<ProgramOutcome> push(const std::vector<std::string>& refs);
  void ask_daemon();
  Result<void> pushes();
  Result<void> lfs_of_store();
  Result<void> lfs_of_client();
  void coverage();
  void tell(Mark mark, std::string text) {
    good_ = good_ && mark != Mark::bad;
    tell_({mark, std::move(text)});
  }
  void expect(bool holds, std::string_view what, const ProgramOutcome& outcome);
  Result<void> expect_refusal(std::string_view what, std::string_view file, std::string_view data,
                              std::string_view word);
  std::string ref(std::string_view name) const {
    return "refs/heads/hubgate-self-test-" + tag_ + "-" + std::string(name);
  }

  const SelfTest& test_;
  const std::function<void(const Line&)>& tell_;
  std::vector<std::string> environment_;
  std::unique_ptr<Scratch> server_; ///< the scratch repository
  std::unique_ptr<Scratch> work_;   ///< the person's copy
  std::string target_;              ///< what is pushed to
  std::string tag_;
  bool good_ = true;
};

Result<ProgramOutcome> Run::git(std::vector<std::string> words, const fs::path& in) {
  words.insert(words.begin(), {"git", "-c", "commit.gpgSign=false"});
  return run_and_read({.words = std::move(words),
                       .directory = in,
                       .environment = environment_,
                       .errors = Program::Errors::with_output});
}

Result<ProgramOutcome> Run::push(const std::vector<std::string>& refs) {
  std::vector<std::string> words{"push", "--no-verify", target_};
  words.insert(words.end(), refs.begin(), refs.end());
  return git(std::move(words), work_->path());
}

// The scratch repository, with the hook where this server's installation puts it.
Result<void> Run::make_target() {
  if (!test_.url.empty()) {
    target_ = test_.url;
    return {};
  }
  server_ = std::make_unique<Scratch>(HUBGATE_TRY(new_folder(test_.root, "hubgate-self-test")));
  const fs::path repository = server_->path() / "scratch.git";
  const auto made =
      HUBGATE_TRY(git({"init", "-q", "--bare", repository.string()}, server_->path()));
  if (made.status != 0) return Error{"git init failed: " + printable(made.output, 200)};
  target_ = repository.string();
  const Server server = test_.request.server;
  const bool dispatches =
      server == Server::gitea || server == Server::forgejo || server == Server::soft_serve;
  if (dispatches) {
    const fs::path hook = repository / "hooks/pre-receive";
    std::ofstream(hook, std::ios::binary) << k_dispatcher;
    fs::permissions(hook, fs::perms{0755});
  }
  if (has_hook(repository, test_.request.home)) return {}; // the hook of all repositories
  tell(Mark::unknown,
       "a new repository of this server has no hook by itself: the scratch one gets "
       "its own, which shows that the hook works and not that every repository has it");
  Request request = test_.request;
  request.repo = repository;
  if (server == Server::gitolite) request.server = Server::bare; // its hooks folder is linked in
  for (const Change& change: HUBGATE_TRY(plan_install(request)))
    if (auto applied = apply(change); !applied) return applied;
  return {};
}

// A commit with one file on no branch of its own; returns its id.
Result<std::string> Run::commit(std::string_view branch, std::string_view file,
                                std::string_view data) {
  const fs::path path = work_->path() / file;
  std::ofstream(path, std::ios::binary) << data;
  const std::string name(branch);
  for (const std::vector<std::string>& words: std::vector<std::vector<std::string>>{
           {"checkout", "-q", "--orphan", name + "-" + std::to_string(std::random_device{}())},
           {"add", "--force", std::string(file)},
           {"commit", "-q", "--no-verify", "-m", "hubgate self-test: " + std::string(file)}}) {
    const auto done = HUBGATE_TRY(git(words, work_->path()));
    if (done.status != 0)
      return Error{"git " + words.front() + " failed: " + printable(done.output, 200)};
  }
  auto head = HUBGATE_TRY(git({"rev-parse", "HEAD"}, work_->path()));
  const auto gone = HUBGATE_TRY(git({"rm", "-q", "--cached", std::string(file)}, work_->path()));
  if (gone.status != 0) return Error{"git rm failed: " + printable(gone.output, 200)};
  fs::remove(path);
  return head.output.substr(0, head.output.find('\n'));
}

void Run::expect(bool holds, std::string_view what, const ProgramOutcome& outcome) {
  if (holds) return tell(Mark::good, std::string(what));
  const std::string_view output = outcome.output;
  const auto remote = output.find("remote:");
  tell(Mark::bad, std::string(what) + "; the server said: " +
                      printable(output.substr(remote == std::string_view::npos ? 0 : remote), 300));
}

Result<void> Run::expect_refusal(std::string_view what, std::string_view file,
                                 std::string_view data, std::string_view word) {
  const std::string head = HUBGATE_TRY(commit("poison", file, data));
  const auto pushed = HUBGATE_TRY(push({head + ":" + ref("poison")}));
  expect(pushed.status != 0 && pushed.output.find("hubgate:") != std::string::npos &&
             pushed.output.find(word) != std::string::npos,
         what, pushed);
  return {};
}

// As the account that we are, which is to be that of the hook.
void Run::ask_daemon() {
  const std::string& path = test_.config.daemon;
  if (path.empty()) return;
  const auto client =
      daemon::Client::connect({.socket = path, .repo = "self-test", .git_dir = "/"});
  if (client)
    tell(Mark::good, "the daemon answers at " + printable(path, 300) + ", policy " +
                         printable((*client)->policy().name(), 200));
  else
    tell(Mark::bad, "the daemon does not answer: " + client.error().message);
}

Result<void> Run::pushes() {
  const std::string clean = HUBGATE_TRY(commit("clean", "README.md", k_clean));
  const auto passed = HUBGATE_TRY(push({clean + ":" + ref("clean")}));
  expect(passed.status == 0, "a clean push passes", passed);
  expect(passed.output.find("remote: hubgate:") != std::string::npos,
         "the server ran the hook on it and shows its lines", passed);
  expect(passed.output.find("could not do its work") == std::string::npos,
         "the hook saw the objects of the push (quarantine)", passed);
  if (auto refused = expect_refusal("a poisoned file is refused, with the reason", "model.pkl",
                                    k_poison, "os.system");
      !refused)
    return refused;
  const std::string poison = HUBGATE_TRY(commit("poison", "model.pkl", k_poison));
  const auto second =
      HUBGATE_TRY(push({clean + ":" + ref("clean-again"), poison + ":" + ref("poison")}));
  expect(second.status != 0, "a poisoned branch behind a clean one in one push is refused", second);
  const auto tree = HUBGATE_TRY(git({"rev-parse", poison + ":model.pkl"}, work_->path()));
  const auto tag =
      HUBGATE_TRY(push({tree.output.substr(0, 40) + ":refs/tags/hubgate-self-test-" + tag_}));
  expect(tag.status != 0, "a tag that names the poisoned file itself is refused", tag);
  return {};
}

// Pointers; the bytes are put where the server keeps them.
Result<void> Run::lfs_of_store() {
  const auto& sources = test_.config.lfs.sources;
  if (std::any_of(sources.begin(), sources.end(), [](const auto& one) {
        return one.place.find("{repo_id}") != std::string::npos;
      })) {
    tell(Mark::unknown, "LFS was not tested: the server's database gives the scratch repository no "
                        "number (--url tests a running server)");
    return {};
  }
  const std::string oid = hex(sha256(as_bytes(k_poison)));
  const std::string absent(64, '1');
  const auto pointer = [](const std::string& id, std::size_t size) {
    return "version https://git-lfs.github.com/spec/v1\noid sha256:" + id + "\nsize " +
           std::to_string(size) + "\n";
  };
  if (auto refused = expect_refusal("an LFS pointer without its object is refused", "absent.bin",
                                    pointer(absent, 9), absent.substr(0, 8));
      !refused)
    return refused;
  const auto source = std::find_if(sources.begin(), sources.end(), [](const auto& one) {
    return one.kind == LfsSourceConfig::Kind::folder && !names_repository(one.place);
  });
  if (source == sources.end()) {
    tell(Mark::unknown, "the server's LFS store was not tested: none of lfs.sources is a folder "
                        "for every repository (--url tests a running server)");
    return {};
  }
  const std::string shape =
      source->paths.empty() ? "{root}/{0:2}/{2:4}/{4:}" : source->paths.front();
  const auto place = git::expand_lfs_path(shape, source->place, oid);
  if (!place) return Error{"lfs.paths in the configuration is no template"};
  const fs::path path = fs::path(target_) / *place;
  std::error_code error;
  const bool there = fs::exists(path, error);
  fs::create_directories(path.parent_path(), error);
  std::ofstream(path, std::ios::binary) << k_poison;
  auto refused =
      expect_refusal("a poisoned LFS object is found in the server's store, read and refused",
                     "weights.bin", pointer(oid, k_poison.size()), "os.system");
  if (!there) fs::remove(path, error);
  return refused;
}

// The same by the real client, to the running server.
Result<void> Run::lfs_of_client() {
  const auto installed = git({"lfs", "install", "--local"}, work_->path());
  if (!installed || installed->status != 0) {
    tell(Mark::unknown, "LFS was not tested: git-lfs is not installed here");
    return {};
  }
  const auto tracked = HUBGATE_TRY(git({"lfs", "track", "*.weights"}, work_->path()));
  if (tracked.status != 0) return Error{"git lfs track failed"};
  const std::string head = HUBGATE_TRY(commit("lfs", "poison.weights", k_poison));
  const auto pushed = HUBGATE_TRY(git({"push", target_, head + ":" + ref("lfs")}, work_->path()));
  const auto uploaded = pushed.output.find("Uploading LFS objects: 100%") != std::string::npos;
  if (!uploaded && pushed.output.find("hubgate:") == std::string::npos) {
    tell(Mark::unknown, "LFS was not tested: the upload failed: " + printable(pushed.output, 200));
    return {};
  }
  expect(pushed.status != 0 && pushed.output.find("os.system") != std::string::npos,
         "a poisoned LFS object is found in the server's store, read and refused", pushed);
  return {};
}

// Which of the real repositories run the hook.
void Run::coverage() {
  if (test_.root.empty()) return;
  std::size_t all = 0;
  std::vector<std::string> without;
  std::error_code ignored;
  auto at = fs::recursive_directory_iterator(
      test_.root, fs::directory_options::skip_permission_denied, ignored);
  for (; !ignored && at != fs::recursive_directory_iterator(); at.increment(ignored)) {
    if (server_ != nullptr && at->path() == server_->path()) {
      at.disable_recursion_pending();
      continue;
    }
    if (!at->is_directory(ignored) || !is_repository(at->path())) continue;
    at.disable_recursion_pending();
    ++all;
    if (!has_hook(at->path(), test_.request.home)) without.push_back(at->path().string());
  }
  const std::string of =
      std::to_string(all) + " repositories below " + printable(test_.root.string(), 200);
  if (without.empty()) return tell(Mark::good, "all " + of + " have the hook");
  for (std::size_t i = 0; i < std::min<std::size_t>(without.size(), 5); ++i)
    tell(Mark::bad, printable(without[i], 300) + " has no hook of ours");
  tell(Mark::bad, std::to_string(without.size()) + " of " + of + " have no hook of ours");
}

Result<bool> Run::run() {
  work_ = std::make_unique<Scratch>(
      HUBGATE_TRY(new_folder(fs::temp_directory_path(), "hubgate-self-test")));
  tag_ = work_->path().filename().string().substr(std::string_view("hubgate-self-test-").size());
  const auto made = HUBGATE_TRY(git({"init", "-q", "."}, work_->path()));
  if (made.status != 0) return Error{"git init failed: " + printable(made.output, 200)};
  if (auto target = make_target(); !target) return target.error();
  ask_daemon();
  if (auto pushed = pushes(); !pushed) return pushed.error();
  if (auto lfs = test_.url.empty() ? lfs_of_store() : lfs_of_client(); !lfs) return lfs.error();
  if (!test_.url.empty()) {
    // What passed, and what should not have.
    for (const auto* name: {"clean", "clean-again", "poison", "lfs"})
      if (auto removed = push({":" + ref(name)}); !removed) return removed.error();
    if (auto removed = push({":refs/tags/hubgate-self-test-" + tag_}); !removed)
      return removed.error();
  }
  coverage();
  for (const auto door: info(test_.request.server).side_doors)
    tell(Mark::open, std::string(door));
  return good_;
}

} // namespace

Result<bool> self_test(const SelfTest& test, const std::function<void(const Line&)>& tell) {
  return Run(test, tell).run();
}

} // namespace hubgate::install
