// Environment, configuration, cases and the answer; whole pushes are driven by tests/e2e.
#include "hook/config.hpp"
#include "hook/environment.hpp"
#include "hook/gitolite.hpp"
#include "hook/lfs_change.hpp"
#include "policy/git/answer.hpp"
#include "policy/git/cases.hpp"

#include <gmock/gmock.h>

#include <map>

namespace hubgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Result<HookEnvironment> environment(const std::map<std::string, std::string>& variables) {
  return read_environment(
      [&](const char* name) -> std::optional<std::string> {
        const auto at = variables.find(name);
        if (at == variables.end()) return std::nullopt;
        return at->second;
      },
      "/srv/git/team/model.git");
}

TEST(Environment, ReadsTheQuarantineRelativeToTheRepository) {
  const auto read = environment({{"GIT_DIR", "."},
                                 {"GIT_OBJECT_DIRECTORY", "./objects/tmp_objdir-incoming-x"},
                                 {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "./objects:\"/a\\072b\""}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->git_dir, "/srv/git/team/model.git");
  EXPECT_EQ(read->incoming, "/srv/git/team/model.git/objects/tmp_objdir-incoming-x");
  EXPECT_THAT(read->objects, ElementsAre("/srv/git/team/model.git/objects", "/a:b"));
  EXPECT_EQ(read->repo, "model");
}

TEST(Gitolite, GroupsAreWhatHasAnAt) {
  EXPECT_THAT(groups_in("@all\nalice\n@devs\n\n@\n@last"), ElementsAre("all", "devs", "last"));
  EXPECT_TRUE(groups_in("").empty());
  EXPECT_FALSE(gitolite_groups("-u"));
  EXPECT_FALSE(gitolite_groups("a b"));
  EXPECT_FALSE(gitolite_groups(""));
}

TEST(LfsChange, PatternsThatGoToLfs) {
  EXPECT_THAT(
      lfs_patterns("*.bin filter=lfs diff=lfs merge=lfs -text\n# *.no filter=lfs\n"
                   "  *.pt\tfilter=lfs\r\n\"a b/*\" -text filter=lfs\n*.md text\nlast filter=lfs"),
      ElementsAre("*.bin", "*.pt", "\"a b/*\"", "last"));
  // The last line with a pattern decides.
  EXPECT_THAT(lfs_patterns("*.a filter=lfs\n*.b filter=lfs\n*.c filter=lfs\n*.a -filter\n"
                           "*.b !filter\n*.c filter=x\n*.d -filter\n*.d filter=lfs\n"),
              ElementsAre("*.d"));
  for (const auto* text: {"", "\n\n", "\"", "\"\\", "x", " ", "filter=lfs", "a filter = lfs"})
    EXPECT_TRUE(lfs_patterns(text).empty()) << text;
}

TEST(Environment, BelievesOnlyTheServerThatItIs) {
  const std::map<std::string, std::string> variables{
      {"GIT_DIR", "."},          {"GL_REPO", "theirs"}, {"GL_USER", "admin"},
      {"BB_PROJECT_KEY", "ORG"}, {"BB_REPO_SLUG", "m"}, {"BB_USER_NAME", "ann"},
      {"GROUPS", "a, b;c"}};
  const auto as = [&](const char* server, const char* groups = "") {
    return *read_environment(
        [&](const char* name) -> std::optional<std::string> {
          const auto at = variables.find(name);
          if (at == variables.end()) return std::nullopt;
          return at->second;
        },
        "/srv/git/team/model.git", {server, groups});
  };
  EXPECT_EQ(as("").user, "admin");
  EXPECT_EQ(as("gitolite").user, "admin");
  EXPECT_EQ(as("bitbucket").user, "ann");
  EXPECT_EQ(as("bitbucket").repo, "ORG/m");
  EXPECT_NE(as("bare").user, "admin");
  EXPECT_EQ(as("bare").repo, "model");
  EXPECT_THAT(as("bare").groups, testing::IsEmpty());
  EXPECT_THAT(as("bare", "GROUPS").groups, ElementsAre("a", "b", "c"));
}

TEST(Environment, WhatAWebServerSetsIsNotBelievedOverSsh) {
  const auto read = environment({{"GIT_DIR", "."},
                                 {"SSH_CONNECTION", "192.0.2.1 5 192.0.2.2 22"},
                                 {"REMOTE_USER", "admin"},
                                 {"REMOTE_ADDR", "192.0.2.9"},
                                 {"GIT_PROJECT_ROOT", "/srv/git"}});
  EXPECT_NE(read->user, "admin");
  EXPECT_EQ(read->from, "192.0.2.1");
  EXPECT_EQ(read->repo, "model");
}

TEST(Environment, HasNoQuarantineWhereThereIsNone) {
  EXPECT_EQ(environment({{"GIT_DIR", "."}})->incoming, "");
  EXPECT_EQ(environment({{"GIT_DIR", "."}, {"GIT_OBJECT_DIRECTORY", "objects"}})->incoming, "");
  EXPECT_FALSE(environment({}));
  EXPECT_FALSE(environment({{"GIT_DIR", "."}, {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "\"/a"}}));
}

TEST(Environment, KnowsRepositoryAndUserOfEachServer) {
  const auto is = [](std::map<std::string, std::string> variables, const char* repo,
                     const char* user) {
    variables["GIT_DIR"] = ".";
    const auto read = environment(variables);
    return read && read->repo == repo && (*user == '\0' || read->user == user);
  };
  EXPECT_TRUE(is({{"GL_REPO", "team/x"}, {"GL_USER", "ann"}}, "team/x", "ann"));
  EXPECT_TRUE(
      is({{"GITEA_REPO_USER_NAME", "ann"}, {"GITEA_REPO_NAME", "m1"}, {"GITEA_PUSHER_NAME", "bob"}},
         "ann/m1", "bob"));
  EXPECT_TRUE(is({{"SOFT_SERVE_REPO_NAME", "m.git"}, {"SOFT_SERVE_USERNAME", "c"}}, "m", "c"));
  EXPECT_TRUE(is({{"GL_PROJECT_PATH", "g/p"}, {"GL_USERNAME", "d"}}, "g/p", "d"));
  EXPECT_TRUE(is({{"GIT_PROJECT_ROOT", "/srv/git"}, {"REMOTE_USER", "e"}}, "team/model", "e"));
  EXPECT_TRUE(is({{"GIT_PROJECT_ROOT", "/elsewhere"}}, "model", ""));
  EXPECT_EQ(environment({{"GIT_DIR", "."}, {"SSH_CONNECTION", "10.0.0.7 1 2 3"}})->from,
            "10.0.0.7");
}

TEST(Config, ReadsItsSectionsAndLeavesThoseOfTheProxy) {
  const auto config = hook_config_from("listen: 127.0.0.1:1\n"
                                       "upstream: https://hub.invalid\n"
                                       "lfs: {roots: [/srv/lfs], paths: ['{root}/{oid}']}\n"
                                       "hook: {history: accept, big_blob: 1MiB, timeout: 4s,\n"
                                       "       max_objects: 5, max_paths: 6, mode: lookup,\n"
                                       "       daemon: /run/h.sock, without_daemon: refuse,\n"
                                       "       trusted_users: [git, 1001]}\n"
                                       "socket: /run/s.sock\n"
                                       "socket_mode: '0600'\n"
                                       "socket_group: git\n",
                                       "hubgate.yaml");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->lfs.sources.size(), 1u);
  EXPECT_EQ(config->lfs.sources[0].place, "/srv/lfs");
  EXPECT_THAT(config->lfs.sources[0].paths, ElementsAre("{root}/{oid}"));
  EXPECT_EQ(config->history, HookConfig::History::accept);
  EXPECT_EQ(config->big_blob, 1u << 20);
  EXPECT_EQ(config->timeout, 4);
  EXPECT_EQ(config->max_objects, 5u);
  EXPECT_EQ(config->max_paths, 6u);
  EXPECT_EQ(config->mode, HookConfig::Mode::lookup);
  EXPECT_EQ(config->daemon, "/run/h.sock");
  EXPECT_EQ(config->without_daemon, HookConfig::WithoutDaemon::refuse);
  EXPECT_THAT(config->trusted_users, ElementsAre("git", "1001"));
  EXPECT_EQ(config->socket, "/run/s.sock");
  EXPECT_EQ(config->socket_mode, 0600u);
  EXPECT_EQ(config->socket_group, "git");
}

TEST(Config, NamesWhatIsWrong) {
  for (const auto& [text, word]:
       std::vector<std::pair<std::string, std::string>>{{"hook: {nonsense: 1}\n", "nonsense"},
                                                        {"hook: {history: maybe}\n", "history"},
                                                        {"lfs: {paths: ['{root']}\n", "template"},
                                                        {"hook: {big_blob: 1GiB}\n", "256 MiB"},
                                                        {"socket_mode: rw\n", "octal"},
                                                        {"socket_mode: '1777'\n", "octal"},
                                                        {"hook: {mode: off}\n", "mode"},
                                                        {"nothing: 1\n", "nothing"}}) {
    const auto config = hook_config_from(text, "hubgate.yaml");
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr(word));
    EXPECT_THAT(config.error().message, HasSubstr("hubgate.yaml:1"));
  }
}

TEST(Links, AreFindingsWhenTheyLeadOutOrStandForModels) {
  EXPECT_EQ(link_finding("a/link", "/etc/passwd", 11)->rule, "git-link-outside");
  EXPECT_EQ(link_finding("link", "../x", 4)->rule, "git-link-outside");
  EXPECT_EQ(link_finding("link", "", 5000)->rule, "git-link-outside");
  EXPECT_EQ(link_finding("model.PT", "other", 5)->rule, "git-link-model");
  EXPECT_FALSE(link_finding("docs/README", "../README.md", 12));
}

TEST(Rules, OfTheHookHaveDistinctIds) {
  std::map<std::string_view, int> seen;
  for (const auto& rule: hook_rules())
    EXPECT_EQ(++seen[rule.id], 1) << rule.id;
  EXPECT_GE(seen.size(), 13u);
}

class Answer : public testing::Test {
protected:
  Item blocked(const std::string& path) {
    Item item;
    item.context.path = path;
    item.context.sha256 = Sha256{};
    item.place = {0, *git::Oid::from_hex(std::string(40, 'a'))};
    item.decision.action = Action::block;
    item.decision.id = "HG-1";
    item.decision.rule = "malicious";
    Finding finding;
    finding.rule = "pickle-dangerous-call";
    finding.evidence = "os.system('id')";
    item.decision.finding = finding;
    item.decision.blockers = {finding.rule};
    return item;
  }
  std::vector<git::RefUpdate> updates_{{{}, {}, "refs/heads/main"}};
};

TEST_F(Answer, NamesRefCommitPathFindingAndWaiver) {
  const Item item = blocked("models/m.pkl");
  const std::string text = refusal_screen({&item}, updates_, 3);
  for (const char* word:
       {"1 of 3 objects is blocked", "refs/heads/main, commit aaaaaaaaaaaa", "models/m.pkl",
        "pickle-dangerous-call", "os.system('id')", "hubgate waiver add", "HG-1", "to do:"})
    EXPECT_THAT(text, HasSubstr(word));
}

TEST_F(Answer, FitsOneScreenWhateverWasFound) {
  std::vector<Item> items;
  for (int i = 0; i < 500; ++i)
    items.push_back(blocked("m" + std::to_string(i) + ".pkl"));
  std::vector<const Item*> pointers;
  for (const auto& item: items)
    pointers.push_back(&item);
  const std::string text = refusal_screen(pointers, updates_, 500);
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 24);
  EXPECT_THAT(text, HasSubstr("and 494 more (hubgate audit show HG-1)"));
  const std::string warnings = warning_lines(pointers, updates_);
  EXPECT_LE(std::count(warnings.begin(), warnings.end(), '\n'), 24);
  EXPECT_THAT(warnings, HasSubstr("more warnings (hubgate audit show HG-1)"));
  // Whatever is long.
  for (Item& item: items) {
    item.context.path = std::string(3000, 'p') + "/end.pkl";
    item.decision.reason = std::string(2000, 'r');
    item.decision.finding->evidence = std::string(5000, 'e');
    item.decision.finding->where = std::string(2000, 'w');
    item.advice = std::string(2000, 'a');
  }
  const std::string house(4000, 'h');
  for (const std::string& screen:
       {refusal_screen(pointers, updates_, 500, {house + "\n" + house, ""}),
        warning_lines(pointers, updates_)}) {
    EXPECT_LE(std::count(screen.begin(), screen.end(), '\n'), 24) << screen;
    for (std::size_t at = 0; at < screen.size(); at = screen.find('\n', at) + 1)
      EXPECT_LE(screen.find('\n', at) - at, k_screen_columns) << screen.substr(at, 200);
    EXPECT_THAT(screen, HasSubstr("/end.pkl"));
  }
}

TEST_F(Answer, HasTheWordsOfTheHouse) {
  Item item = blocked("a b/m.pkl");
  item.context.repo = "org/model";
  const std::string text =
      refusal_screen({&item}, updates_, 1,
                     {"Ask #model-security.\nThey answer within a day.",
                      "https://x/ask?ref={reference}&path={path}&repo={repo}&rules={rules}"});
  EXPECT_THAT(text, HasSubstr("hubgate: Ask #model-security.\nhubgate: They answer"));
  EXPECT_THAT(text, HasSubstr("https://x/ask?ref=HG-1&path=a%20b%2Fm.pkl&repo=org%2Fmodel&rules="
                              "pickle-dangerous-call\n"));
  EXPECT_THAT(text, Not(HasSubstr("hubgate waiver add")));
  EXPECT_EQ(unknown_field("https://x/{reference}{path}"), "");
  EXPECT_EQ(unknown_field("https://x/{ref}"), "{ref}");
  EXPECT_EQ(unknown_field("https://x/{path"), "{path}");
}

TEST(Control, FilesThatOnlyGitWouldRead) {
  Judged judged;
  judged.digest.size = 100;
  EXPECT_FALSE(control_finding(".gitmodules", judged));
  judged.has_nul = true;
  EXPECT_EQ(control_finding("a/.LFSconfig", judged)->rule, "git-control-unread");
  EXPECT_EQ(control_finding(".gitattributes", judged)->rule, "git-control-unread");
  EXPECT_FALSE(control_finding("a.gitattributes", judged));
  EXPECT_FALSE(control_finding(".gitignore", judged));
  judged.has_nul = false;
  judged.digest.size = 2 << 20;
  EXPECT_EQ(control_finding(".gitmodules", judged)->rule, "git-control-unread");
  EXPECT_EQ(control_finding(".gitattributes", judged)->rule, "git-attributes-large");
}

TEST_F(Answer, EveryLineIsOursAndEscaped) {
  Item item = blocked("x\n\x1b[2J\u202e.pkl");
  item.decision.finding->evidence = "a\\x1b";
  updates_[0].name = "refs/heads/\u202e\x1b[0m";
  const std::string text = refusal_screen({&item}, updates_, 1) + warning_lines({&item}, updates_);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\u202e")));
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    EXPECT_EQ(text.substr(at, 8), "hubgate:") << text.substr(at, 60);
}

TEST_F(Answer, SaysWhereAnObjectIsThatNothingNames) {
  Item item = blocked("");
  item.place = {};
  EXPECT_THAT(place_of(item, updates_), HasSubstr("named by no ref"));
}

} // namespace
} // namespace hubgate
