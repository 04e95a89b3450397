// The verbs as people run them: flags in, text and exit code out.
#include "policy/commands/verb.hpp"
#include "policy/gatekeeper.hpp"
#include "policy/test_reports.hpp"
#include "scanner/core/format.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iostream>
#include <regex>

namespace hubgate {

extern const Verb verb_policy;
extern const Verb verb_waiver;
extern const Verb verb_quarantine;
extern const Verb verb_audit;
extern const Verb verb_explain;

namespace {

using namespace testing_support;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome run(const Verb& verb, std::vector<std::string> arguments) {
  CLI::App app("test", "hubgate");
  int code = exit_ok;
  verb.setup(app, code);
  std::reverse(arguments.begin(), arguments.end());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError&) {
    code = exit_usage;
  }
  std::cout.flush();
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

class Commands : public testing::Test {
protected:
  Folder folder_;
  std::string bytes_ = "inert bytes";
  std::string reference_;

  std::string data() const { return folder_.path() / "data"; }
  Sha256 digest() const { return sha256(as_bytes(bytes_)); }

  std::unique_ptr<Gatekeeper> gate(std::string_view preset = "guarded") {
    Gatekeeper::Options options{.data_dir = data(), .policy = *Policy::preset(preset)};
    options.rules = rules_digest(all_formats());
    auto opened = Gatekeeper::open(std::move(options));
    return std::move(*opened);
  }
  Context object(std::string repo = "acme/model") const {
    Context out = context("model.pkl", std::move(repo));
    out.sha256 = digest();
    out.size = bytes_.size();
    return out;
  }
  void decide(const Report& seen, std::string_view preset = "guarded") {
    reference_ = gate(preset)->decide(seen, object()).id;
  }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.path() / name) << text;
    return folder_.path() / name;
  }
};

TEST_F(Commands, CheckTellsAllMistakesAndTheExitCode) {
  const auto good = write("good.yaml", "version: 1\nrules: [{id: a, action: block}]\n");
  const auto bad = write("bad.yaml", "version: 1\nmod: audit\nrules: [{id: a, action: blok}]\n");
  const Outcome fine = run(verb_policy, {"check", good});
  EXPECT_EQ(fine.code, 0);
  EXPECT_THAT(fine.out, HasSubstr("fine: policy"));
  const Outcome broken = run(verb_policy, {"check", good, bad});
  EXPECT_EQ(broken.code, 2);
  EXPECT_THAT(broken.err, HasSubstr("bad.yaml:2: unknown key 'mod'; did you mean 'mode'?"));
  EXPECT_THAT(broken.err, HasSubstr("bad.yaml:3: rules[1].action: 'blok'"));
  EXPECT_EQ(run(verb_policy, {"check", "/absent.yaml"}).code, 2);
  EXPECT_EQ(run(verb_policy, {"check", "strict"}).code, 0);
}

TEST_F(Commands, ExplainReadsReports) {
  boost::json::object line = to_json(report({malicious()}));
  line["path"] = "model.pkl";
  const auto file = write("report.jsonl", boost::json::serialize(line) + "\n");
  const Outcome done = run(verb_policy, {"explain", "--report", file, "--policy", "strict"});
  EXPECT_EQ(done.code, 0);
  EXPECT_THAT(done.out, HasSubstr("block by rule malicious of policy strict"));
  EXPECT_THAT(done.out, HasSubstr("decides pickle-dangerous-call"));
  EXPECT_EQ(run(verb_policy, {"explain", "--report", write("x", "nonsense\n")}).code, 3);
  EXPECT_EQ(run(verb_policy, {"explain", "--report", "/absent"}).code, 3);
  EXPECT_EQ(run(verb_policy, {"explain", "--policy", "nonsense", file}).code, 2);
  EXPECT_EQ(run(verb_policy, {"explain"}).code, 2);
}

TEST_F(Commands, ExplainScansFiles) {
  const auto file = write("notes.txt", "plain words\n");
  const Outcome done = run(verb_policy, {"explain", file, "--repo", "acme/x"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("decision  "));
  EXPECT_EQ(run(verb_policy, {"explain", "/absent"}).code, 3);
}

TEST_F(Commands, SimulateCountsWhatWouldChange) {
  decide(report({unknown_class()}), "audit");
  decide(report({unknown_class()}), "audit");
  decide(report({}), "audit");
  const Outcome done = run(verb_policy, {"simulate", "strict", "--data", data()});
  EXPECT_EQ(done.code, 0);
  EXPECT_THAT(done.out, HasSubstr("3 decisions, 1 the same under policy strict, 2 changed"));
  EXPECT_TRUE(std::regex_search(done.out, std::regex("allow +block +suspicious +2 +1 +1")))
      << done.out;
  EXPECT_THAT(done.out, HasSubstr("2x  acme/model model.pkl"));
  EXPECT_THAT(done.out, HasSubstr("users: alice"));
  const Outcome lines =
      run(verb_policy, {"simulate", "strict", "--data", data(), "--format", "jsonl"});
  EXPECT_THAT(lines.out, HasSubstr("\"simulated\":\"block\""));
  EXPECT_EQ(run(verb_policy, {"simulate", "strict", "--data", data(), "--since", "1d"}).code, 0);
  EXPECT_THAT(
      run(verb_policy, {"simulate", "strict", "--data", data(), "--since", "2999-01-01"}).out,
      HasSubstr("0 decisions"));
  EXPECT_EQ(run(verb_policy, {"simulate", "strict", "--data", data(), "--since", "soon"}).code, 2);
  EXPECT_EQ(run(verb_policy, {"simulate", "nonsense", "--data", data()}).code, 2);
  EXPECT_EQ(run(verb_policy, {"simulate", "strict", "--data", "/absent"}).code, 3);
}

TEST_F(Commands, SimulateKnowsTheWaiversOfThen) {
  {
    const auto holder = gate();
    Waiver pass;
    pass.sha256 = digest();
    pass.rules = {"*"};
    pass.reason = "reviewed";
    pass.created = now() - 1;
    pass.expires = now() + 100;
    ASSERT_TRUE(holder->add_waiver(pass));
  }
  decide(report({malicious()}));
  EXPECT_THAT(run(verb_policy, {"simulate", "strict", "--data", data()}).out,
              HasSubstr("1 the same"));
}

TEST_F(Commands, WaiverLifeCycle) {
  decide(report({malicious()}));
  const std::string sha256 = hex(digest());
  const Outcome added =
      run(verb_waiver,
          {"add", sha256, "--rules", "pickle-dangerous-call,gap:opaque", "--scope", "acme/*",
           "--reason", "ticket 4711", "--approver", "carol", "--expires", "30d", "--data", data()});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_THAT(added.out, HasSubstr("waiver 1 added"));
  EXPECT_THAT(run(verb_waiver, {"list", "--data", data()}).out, HasSubstr(sha256));
  EXPECT_THAT(run(verb_waiver, {"list", "--format", "jsonl", "--data", data()}).out,
              HasSubstr("\"approver\":\"carol\""));
  EXPECT_EQ(gate()->decide(report({malicious()}), object()).action, Action::annotate);
  EXPECT_EQ(run(verb_waiver, {"revoke", "1", "--by", "dave", "--data", data()}).code, 0);
  EXPECT_EQ(run(verb_waiver, {"revoke", "1", "--data", data()}).code, 1);
  EXPECT_EQ(gate()->decide(report({malicious()}), object()).action, Action::block);
  EXPECT_THAT(run(verb_waiver, {"list", "--data", data()}).out, HasSubstr("no waivers"));
  EXPECT_THAT(run(verb_waiver, {"list", "--all", "--data", data()}).out, HasSubstr("revoked"));
  const Outcome shown = run(verb_audit, {"show", "--data", data()});
  EXPECT_THAT(shown.out, HasSubstr("waiver-add"));
  EXPECT_THAT(shown.out, HasSubstr("waiver-revoke"));
  EXPECT_EQ(run(verb_audit, {"verify", "--data", data()}).code, 0);
}

TEST_F(Commands, AReferenceIsEnoughForAWaiver) {
  decide(report({malicious(), unknown_call()}));
  const Outcome added =
      run(verb_waiver, {"add", reference_, "--reason", "reviewed", "--data", data()});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_THAT(added.out, HasSubstr("pickle-dangerous-call,pickle-unknown-call"));
  EXPECT_EQ(gate()->decide(report({malicious(), unknown_call()}), object()).action,
            Action::annotate);
}

TEST_F(Commands, BadWaiversAreRefused) {
  decide(report({malicious()}));
  const std::string sha256 = hex(digest());
  const auto code = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"add", "--data", data()};
    all.insert(all.end(), more.begin(), more.end());
    return run(verb_waiver, all).code;
  };
  EXPECT_EQ(code({sha256, "--reason", "x"}), 2) << "no rules";
  EXPECT_EQ(code({sha256, "--rules", "a"}), 2) << "no reason";
  EXPECT_EQ(code({sha256, "--rules", "a", "--reason", " "}), 2);
  EXPECT_EQ(code({"abc", "--rules", "a", "--reason", "x"}), 2);
  EXPECT_EQ(code({"HG-000000000000", "--reason", "x"}), 2);
  EXPECT_EQ(code({sha256, "--rules", "A B", "--reason", "x"}), 2);
  EXPECT_EQ(code({sha256, "--rules", "a", "--reason", "x", "--expires", "2020-01-01"}), 2);
  EXPECT_EQ(code({sha256, "--rules", "a", "--reason", "x", "--expires", "400d"}), 2);
  EXPECT_EQ(code({sha256, "--rules", "a", "--reason", "x", "--expires", "never"}), 2);
  EXPECT_EQ(code({sha256, "--rule", "a", "--reason", "x"}), 0);
  EXPECT_EQ(run(verb_waiver, {"list", "--data", "/absent"}).code, 3);
}

TEST_F(Commands, QuarantineShowsEverythingButTheBytes) {
  {
    const auto holder = gate();
    const Decision decision = holder->decide(report({malicious()}), object());
    MemorySource source(as_bytes(bytes_));
    ASSERT_TRUE(holder->quarantine(decision, object(), source)->kept);
  }
  const std::string sha256 = hex(digest());
  EXPECT_THAT(run(verb_quarantine, {"list", "--data", data()}).out, HasSubstr(sha256));
  const Outcome shown = run(verb_quarantine, {"show", sha256.substr(0, 12), "--data", data()});
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, HasSubstr("os.system('echo hubgate')"));
  EXPECT_THAT(shown.out, Not(HasSubstr(bytes_)));
  EXPECT_EQ(run(verb_quarantine, {"show", "00000000", "--data", data()}).code, 1);
  EXPECT_EQ(run(verb_quarantine, {"purge", "--data", data()}).code, 2);
  EXPECT_THAT(run(verb_quarantine, {"purge", "--expired", "--data", data()}).out,
              HasSubstr("0 removed"));
  EXPECT_THAT(run(verb_quarantine, {"purge", sha256, "--data", data()}).out,
              HasSubstr("1 removed"));
  EXPECT_THAT(run(verb_quarantine, {"list", "--data", data()}).out, HasSubstr("is empty"));
}

TEST_F(Commands, VerifyFindsACutTail) {
  decide(report({malicious()}));
  decide(report({}));
  EXPECT_EQ(run(verb_audit, {"verify", "--data", data()}).code, 0);
  const auto file = folder_.path() / "data/audit/audit-000001.jsonl";
  std::ifstream in(file);
  std::string first;
  std::getline(in, first);
  std::string second;
  std::getline(in, second);
  in.close();
  std::ofstream(file) << first << "\n";
  const Outcome cut = run(verb_audit, {"verify", "--data", data()});
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.out, HasSubstr("lines were removed from the end"));
  // The last line has no successor that would tell of an edit; the store does.
  second.replace(second.find("model.pkl"), 9, "other.pkl");
  std::ofstream(file) << first << "\n" << second << "\n";
  const Outcome edited = run(verb_audit, {"verify", "--data", data()});
  EXPECT_EQ(edited.code, 1);
  EXPECT_THAT(edited.out, HasSubstr("it was edited"));
  std::filesystem::remove(file);
  EXPECT_EQ(run(verb_audit, {"verify", "--data", data()}).code, 1) << "all lines gone";
  EXPECT_EQ(run(verb_audit, {"verify", "--data", "/absent"}).code, 3);
}

TEST_F(Commands, AuditShowFiltersAndShowsOne) {
  decide(report({malicious()}));
  const std::string blocked = reference_;
  decide(report({}));
  EXPECT_THAT(run(verb_audit, {"show", "--decision", "block", "--data", data()}).out,
              testing::AllOf(HasSubstr(blocked), Not(HasSubstr(reference_))));
  EXPECT_THAT(run(verb_audit, {"show", "--limit", "1", "--data", data()}).out,
              testing::AllOf(HasSubstr(reference_), Not(HasSubstr(blocked))));
  EXPECT_THAT(run(verb_audit, {"show", "--repo", "other/*", "--data", data()}).out,
              HasSubstr("nothing recorded"));
  const Outcome one = run(verb_audit, {"show", blocked, "--data", data()});
  EXPECT_THAT(one.out, HasSubstr("os.system('echo hubgate')"));
  EXPECT_THAT(one.out, HasSubstr("malicious"));
  EXPECT_EQ(run(verb_audit, {"show", "HG-NOSUCHTHING0", "--data", data()}).code, 1);
}

TEST_F(Commands, ExplainKnowsReferencesAndRules) {
  decide(report({malicious()}));
  EXPECT_THAT(run(verb_explain, {reference_, "--data", data()}).out,
              HasSubstr("os.system('echo hubgate')"));
  const Outcome rule = run(verb_explain, {"polyglot"});
  EXPECT_EQ(rule.code, 0);
  EXPECT_THAT(rule.out, HasSubstr("polyglot"));
  const Outcome none = run(verb_explain, {"polyglt"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("did you mean 'polyglot'?"));
}

// A pickle that calls os.system, and what is shown of it.
std::string bad_pickle() {
  return "cos\nsystem\n(Vecho hubgate\ntR.";
}

TEST_F(Commands, ExplainShowsHowAFileWasRead) {
  const std::string file = write("bad.pkl", bad_pickle());
  const Outcome done = run(verb_explain, {file});
  EXPECT_EQ(done.code, exit_found);
  for (const char* part:
       {"malicious (pickle, 29 bytes)", "00000000  63 6f 73 0a", "c    GLOBAL     'os system'",
        "_var0 = system('echo hubgate')", "  >       27  R    REDUCE [1]", "[1] malicious",
        "pickle-dangerous-call", "at byte 27; runs when the file is loaded"})
    EXPECT_THAT(done.out, HasSubstr(part));
  EXPECT_THAT(done.out, Not(HasSubstr("\x1b")));

  const Outcome code = run(verb_explain, {file, "--stage", "code"});
  EXPECT_THAT(code.out, HasSubstr("_var0 = system('echo hubgate')"));
  EXPECT_THAT(code.out, Not(HasSubstr("GLOBAL")));
  const Outcome one = run(verb_explain, {file, "--all", "--lines", "1", "--stage", "disassembly"});
  EXPECT_THAT(one.out, HasSubstr("GLOBAL"));
  EXPECT_THAT(one.out, Not(HasSubstr("MARK ")));
  EXPECT_THAT(one.out, HasSubstr("lines more are not shown"));
  EXPECT_THAT(run(verb_explain, {file, "--format", "json"}).out,
              HasSubstr("{\"offset\":27,\"text\":\"R    REDUCE\"}"));
  EXPECT_EQ(run(verb_explain, {file, "--stage", "nonsense"}).code, exit_usage);
  EXPECT_EQ(run(verb_explain, {"/absent.pkl"}).code, exit_error);
}

TEST_F(Commands, ExplainOfADirectoryShowsItsBadFiles) {
  write("good.txt", "words\n");
  const std::string file = write("bad.pkl", bad_pickle());
  const std::string folder = file.substr(0, file.rfind('/'));
  const Outcome done = run(verb_explain, {folder});
  EXPECT_EQ(done.code, exit_found);
  EXPECT_THAT(done.out, HasSubstr("bad.pkl: "));
  EXPECT_THAT(done.out, Not(HasSubstr("good.txt")));
  EXPECT_THAT(done.out, HasSubstr("its files together"));
  EXPECT_THAT(run(verb_explain, {folder, "--all"}).out, HasSubstr("good.txt: "));
}

} // namespace
} // namespace hubgate
