#include "policy/gatekeeper.hpp"

#include "policy/test_reports.hpp"

#include <gmock/gmock.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <thread>

namespace hubgate {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

Gatekeeper::Options options(const std::filesystem::path& dir, std::string_view preset = "guarded") {
  Gatekeeper::Options out{.data_dir = dir, .policy = *Policy::preset(preset)};
  out.rules = "rules-1";
  return out;
}

std::unique_ptr<Gatekeeper> opened(Gatekeeper::Options how) {
  auto out = Gatekeeper::open(std::move(how));
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? std::move(*out) : nullptr;
}
std::unique_ptr<Gatekeeper> opened(const std::filesystem::path& dir,
                                   std::string_view preset = "guarded") {
  return opened(options(dir, preset));
}

Context hashed(std::uint8_t seed = 1, std::string repo = "acme/model") {
  Context out = context("model.pkl", std::move(repo));
  Sha256 digest{};
  digest.fill(seed);
  out.sha256 = digest;
  return out;
}

Waiver waiver(std::vector<std::string> rules, std::string scope = "*", Time lasts = 60) {
  Waiver out;
  out.sha256 = *hashed().sha256;
  out.rules = std::move(rules);
  out.scope = std::move(scope);
  out.reason = "reviewed";
  out.approver = "carol";
  out.created = now();
  out.expires = now() + lasts;
  return out;
}

TEST(Gatekeeper, RecordsBeforeItAnswers) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Decision decision = gate->decide(report({malicious()}), hashed());
  EXPECT_EQ(decision.action, Action::block);
  EXPECT_THAT(decision.id, testing::MatchesRegex("HG-[0-9A-Z]{12}"));
  const auto record = *gate->store().decision(decision.id);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->context.user, "alice");
  EXPECT_EQ((*gate->store().report(record->report))->findings[0].rule, "pickle-dangerous-call");
  boost::json::object line;
  ASSERT_TRUE(gate->audit().read(1, [&](const AuditLog::Line&, const auto& fields) {
    line = fields;
    return true;
  }));
  for (const char* field:
       {"time", "id", "who", "from", "client", "direction", "road", "hub", "repo", "revision",
        "path", "sha256", "size", "verdict", "decision", "rule", "findings", "mode", "policy"})
    EXPECT_TRUE(line.contains(field)) << field;
  EXPECT_EQ(line["id"].get_string(), decision.id);
  EXPECT_EQ(line["decision"].get_string(), "block");
}

TEST(Gatekeeper, APreviewRecordsNothing) {
  const Folder folder;
  const auto gate = opened(folder.path());
  EXPECT_EQ(gate->preview(report({malicious()}), hashed()).action, Action::block);
  EXPECT_EQ(gate->store().audit_head()->seq, 0U);
}

TEST(Gatekeeper, SecretsNeverReachTheLog) {
  const Folder folder;
  const auto gate = opened(folder.path());
  Context seen = hashed();
  seen.client = "curl Authorization: Bearer verysecret";
  seen.path = "hf_abcdefghijklmnopqrstuvwxyz\n.pkl";
  seen.from = "10.0.0.1";
  gate->decide(report({}), seen);
  gate->refuse("upstream-changed", "see https://x/y?X-Amz-Signature=secret", seen);
  boost::json::object event;
  event["url"] = "https://x/y?X-Amz-Signature=secret";
  ASSERT_TRUE(gate->event("start", event));
  std::ifstream file(folder.path() / "audit" / "audit-000001.jsonl");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(text, Not(HasSubstr("secret\"")));
  EXPECT_THAT(text, Not(HasSubstr("verysecret")));
  EXPECT_THAT(text, Not(HasSubstr("ghijklmnopq")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(Gatekeeper, WaiversCoverAllOrNothing) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Report both = report({malicious(), unknown_call()});
  ASSERT_TRUE(gate->add_waiver(waiver({"pickle-dangerous-call"})));
  EXPECT_EQ(gate->decide(both, hashed()).action, Action::block) << "one rule is not waived";
  const std::int64_t id =
      *gate->add_waiver(waiver({"pickle-dangerous-call", "pickle-unknown-call"}));
  const Decision waived = gate->decide(both, hashed());
  EXPECT_EQ(waived.action, Action::annotate);
  EXPECT_EQ(waived.waiver, id);
  EXPECT_EQ(waived.would_be, Action::block);
  EXPECT_EQ(gate->decide(both, hashed(2)).action, Action::block) << "other bytes";
  Report more = both;
  more.gaps.push_back(gap(Reason::truncated, Reach::load));
  EXPECT_EQ(gate->decide(more, hashed()).action, Action::block) << "a gap is not waived";
  ASSERT_TRUE(*gate->revoke_waiver(id, "dave"));
  EXPECT_EQ(gate->decide(both, hashed()).action, Action::block);
}

TEST(Gatekeeper, WaiversHaveAScopeAndAnEnd) {
  const Folder folder;
  const auto gate = opened(folder.path());
  ASSERT_TRUE(gate->add_waiver(waiver({"*"}, "lab/*")));
  ASSERT_TRUE(gate->add_waiver(waiver({"*"}, "*", -1)));
  EXPECT_EQ(gate->decide(report({malicious()}), hashed(1, "acme/x")).action, Action::block);
  EXPECT_EQ(gate->decide(report({malicious()}), hashed(1, "lab/x")).action, Action::annotate);
  Context unhashed = hashed(1, "lab/x");
  unhashed.sha256.reset();
  EXPECT_EQ(gate->decide(report({malicious()}), unhashed).action, Action::block);
}

TEST(Gatekeeper, WhatIsNotListedIsNotWaivedByName) {
  const Folder folder;
  const auto gate = opened(folder.path());
  Report full = report(std::vector<Finding>(1000, malicious()));
  full.dropped = 5;
  ASSERT_TRUE(gate->add_waiver(waiver({"pickle-dangerous-call", "gap:budget"})));
  EXPECT_EQ(gate->decide(full, hashed()).action, Action::block);
  ASSERT_TRUE(gate->add_waiver(waiver({"*"})));
  EXPECT_EQ(gate->decide(full, hashed()).action, Action::annotate);
}

TEST(Gatekeeper, RemembersAndLooksUp) {
  const Folder folder;
  const auto gate = opened(folder.path());
  ObjectDigest object;
  object.sha256 = *hashed().sha256;
  object.size = 100;
  EXPECT_FALSE(gate->lookup(object.sha256, 100));
  ASSERT_TRUE(gate->remember(object, report({}, {gap(Reason::crash, Reach::load)})));
  EXPECT_FALSE(gate->lookup(object.sha256, 100));
  EXPECT_TRUE(gate->store().retry_after({object.sha256, 100})->has_value());
  ASSERT_TRUE(gate->remember(object, report({note()})));
  EXPECT_TRUE(gate->lookup(object.sha256, 100)->current);
}

TEST(Gatekeeper, RefusesWithoutAReport) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Decision decision =
      gate->refuse("wrong-hash", "the bytes are not those of the oid", hashed());
  EXPECT_EQ(decision.action, Action::block);
  EXPECT_FALSE(decision.id.empty());
  EXPECT_EQ((*gate->store().decision(decision.id))->decision.rule, "wrong-hash");
}

TEST(Gatekeeper, APushIsDecidedAtOnce) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Report bad = report({malicious()});
  const Report good = report({});
  ASSERT_TRUE(gate->add_waiver(waiver({"*"})));
  const auto decisions =
      gate->decide_all({{&bad, hashed(1)}, {&bad, hashed(2)}, {&good, hashed(3)}});
  ASSERT_EQ(decisions.size(), 3U);
  EXPECT_EQ(decisions[0].action, Action::annotate);
  EXPECT_EQ(decisions[1].action, Action::block);
  EXPECT_EQ(decisions[2].action, Action::allow);
  for (const auto& decision: decisions)
    EXPECT_TRUE(gate->store().decision(decision.id)->has_value());
  const auto check = *verify_audit(folder.path() / "audit");
  EXPECT_EQ(check.lines, 4U);
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_EQ(gate->store().audit_head()->hash, check.last.hash);
  EXPECT_TRUE(gate->decide_all({}).empty());
}

TEST(Gatekeeper, WhatCantBeRecordedIsBlocked) {
  const Folder folder;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{150'000, 150'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto gate = Gatekeeper::open(options(folder.path()));
    if (!gate) _exit(2);
    for (int i = 0; i < 3000; ++i) {
      const Decision decision = (*gate)->decide(report({}), hashed());
      if (decision.action == Action::allow) continue;
      _exit(decision.rule == "not-recorded" && decision.id.empty() ? 0 : 3);
    }
    _exit(4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto check = *verify_audit(folder.path() / "audit");
  EXPECT_THAT(check.problems, IsEmpty());
}

// Kills a child that decides in several threads and checks that every decision that it was told of
// is in the log and in the store, and that both agree.
TEST(Gatekeeper, KilledAtAnyMomentItLosesNoDecision) {
  const Folder folder;
  std::mt19937 random(7);
  std::set<std::string> told;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto gate = Gatekeeper::open(options(folder.path()));
      if (!gate) _exit(1);
      std::vector<std::thread> threads;
      for (std::uint8_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0;; ++i) {
            Finding varied = malicious();
            varied.offset = static_cast<std::uint64_t>(i);
            const Decision decision = (*gate)->decide(report({varied}), hashed(t));
            if (decision.id.size() != 15) _exit(1);
            if (write(ends[1], decision.id.data(), 15) != 15) _exit(1);
          }
        });
      for (auto& thread: threads)
        thread.join();
    }
    close(ends[1]);
    char id[15];
    // Every other round is killed wherever it is, while it opens for instance; a slow machine gets
    // no further than that.
    if (round % 2 == 0 && ::read(ends[0], id, sizeof id) == sizeof id) told.emplace(id, sizeof id);
    usleep(static_cast<useconds_t>(10'000 + random() % 30'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child gave up: " << status;
    while (::read(ends[0], id, sizeof id) == sizeof id)
      told.emplace(id, sizeof id);
    close(ends[0]);
  }
  EXPECT_GE(told.size(), 10U);
  const auto gate = opened(folder.path());
  std::set<std::string> logged;
  ASSERT_TRUE(gate->audit().read(1, [&](const AuditLog::Line&, const auto& fields) {
    if (const auto* id = fields.if_contains("id")) logged.emplace(id->get_string());
    return true;
  }));
  std::set<std::string> stored;
  ASSERT_TRUE(gate->store().decisions(0, [&](const DecisionRecord& record) {
    stored.insert(record.decision.id);
    EXPECT_TRUE(gate->store().report(record.report)->has_value());
    return true;
  }));
  EXPECT_EQ(logged, stored);
  for (const auto& id: told)
    EXPECT_TRUE(stored.contains(id)) << id;
  const auto check = *verify_audit(folder.path() / "audit");
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_EQ(gate->store().audit_head()->seq, check.last.seq);
  EXPECT_EQ(gate->store().audit_head()->hash, check.last.hash);
}

TEST(Gatekeeper, ManyThreadsAndPolicyReload) {
  const Folder folder;
  const auto gate = opened(folder.path());
  std::vector<std::thread> threads;
  std::atomic<int> unrecorded{0};
  for (std::uint8_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i)
        if (gate->decide(report({unknown_class()}), hashed(t)).id.empty()) ++unrecorded;
    });
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(gate->replace_policy(*Policy::preset(i % 2 == 0 ? "strict" : "audit")).ok());
  for (auto& thread: threads)
    thread.join();
  EXPECT_EQ(unrecorded, 0);
  EXPECT_EQ(verify_audit(folder.path() / "audit")->lines, 400U);
}

TEST(Gatekeeper, ReadOnlyFolderIsAClearError) {
  const Folder folder;
  // Tests may run as root, whom permissions don't stop: a file in the way stops everybody.
  std::ofstream(folder.path() / "audit") << "x";
  const auto gate = Gatekeeper::open(options(folder.path()));
  ASSERT_FALSE(gate);
  EXPECT_THAT(gate.error().message, HasSubstr("audit: is not a folder"));
  EXPECT_FALSE(Gatekeeper::open(options("/proc/hubgate")));
}

class QuarantineTest : public testing::Test {
protected:
  std::string bytes_ = std::string(300'000, 'q');
  Folder folder_;

  Context object() const {
    Context out = context();
    out.sha256 = sha256(as_bytes(bytes_));
    out.size = bytes_.size();
    return out;
  }
  QuarantineRecord keep(Gatekeeper& gate) {
    MemorySource source(as_bytes(bytes_));
    const Decision decision = gate.decide(report({malicious()}), object());
    return *gate.quarantine(decision, object(), source);
  }
};

TEST_F(QuarantineTest, KeepsTheBytesPrivately) {
  const auto gate = opened(folder_.path());
  const QuarantineRecord record = keep(*gate);
  EXPECT_TRUE(record.kept) << record.note;
  const auto file = folder_.path() / "quarantine" / hex(record.sha256);
  EXPECT_EQ(std::filesystem::file_size(file), bytes_.size());
  struct stat info{};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_EQ(gate->store().quarantine()->size(), 1U);
  EXPECT_TRUE(keep(*gate).kept) << "again is fine";
  ASSERT_TRUE(gate->purge(record.sha256, "carol"));
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(gate->store().quarantine()->empty());
}

TEST_F(QuarantineTest, IsBoundedAndSaysWhenItIsFull) {
  auto how = options(folder_.path());
  how.quarantine_bytes = 500'000;
  const auto gate = opened(std::move(how));
  EXPECT_TRUE(keep(*gate).kept);
  const auto first = object();
  bytes_[0] = 'x';
  const QuarantineRecord second = keep(*gate);
  EXPECT_FALSE(second.kept);
  EXPECT_THAT(second.note, HasSubstr("the quarantine is full"));
  EXPECT_EQ(gate->store().quarantine()->size(), 2U) << "the record is there without the bytes";
  EXPECT_TRUE(std::filesystem::exists(gate->quarantine_space().file(*first.sha256)))
      << "a newcomer wipes nothing";
}

TEST_F(QuarantineTest, ExpiredBytesMakeRoom) {
  auto how = options(folder_.path());
  how.quarantine_bytes = 500'000;
  how.quarantine_keep = std::chrono::hours(0);
  const auto gate = opened(std::move(how));
  EXPECT_TRUE(keep(*gate).kept);
  bytes_[0] = 'x';
  EXPECT_TRUE(keep(*gate).kept);
  EXPECT_EQ(gate->store().quarantine()->size(), 1U);
}

TEST_F(QuarantineTest, OtherOrMissingBytesAreNotKept) {
  const auto gate = opened(folder_.path());
  const Decision decision = gate->decide(report({malicious()}), object());
  std::string other = bytes_;
  other[5] = 'x';
  MemorySource wrong(as_bytes(other));
  EXPECT_THAT(gate->quarantine(decision, object(), wrong)->note, HasSubstr("not those"));
  MemorySource half(as_bytes(std::string_view(bytes_).substr(0, 1000)));
  EXPECT_THAT(gate->quarantine(decision, object(), half)->note, HasSubstr("not held"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "quarantine"));
}

TEST_F(QuarantineTest, AWaiverEndsIt) {
  const auto gate = opened(folder_.path());
  keep(*gate);
  Waiver pass = waiver({"*"});
  pass.sha256 = *object().sha256;
  ASSERT_TRUE(gate->add_waiver(pass));
  EXPECT_TRUE(gate->store().quarantine()->empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "quarantine"));
}

void expect_header_fit(const std::string& line) {
  EXPECT_LE(line.size(), 400U);
  EXPECT_THAT(line, StartsWith("hubgate: "));
  for (const char c: line)
    EXPECT_TRUE(c >= 0x20 && c < 0x7f) << line;
}

TEST(Messages, ARefusalExplainsItselfInOneLine) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Decision decision = gate->decide(report({malicious()}), hashed());
  const std::string line = refusal_line(decision, hashed());
  expect_header_fit(line);
  EXPECT_THAT(line, HasSubstr("blocked model.pkl: pickle-dangerous-call in archive/data.pkl: "
                              "os.system('echo hubgate')"));
  EXPECT_THAT(line, HasSubstr("[policy rule malicious]"));
  EXPECT_THAT(line, HasSubstr("hubgate waiver add " + hex(*hashed().sha256) +
                              " --rules pickle-dangerous-call --reason ..."));
  EXPECT_THAT(line, testing::EndsWith("; ref " + decision.id));
}

TEST(Messages, StayOneBoundedLineOfAsciiWhateverTheObjectSays) {
  Finding evil = malicious();
  evil.evidence = std::string(3000, 'A') + "\r\nSet-Cookie: x\xe2\x80\xae";
  evil.where = std::string(500, 'w') + "\n\xff\xe2\x80\xa6";
  Context where = hashed();
  where.path = std::string(2000, 'p') + "\r\n\xe4\xb8\xad.pkl";
  Decision decision = Policy::preset("guarded")->decide(report({evil}), where);
  expect_header_fit(refusal_line(decision, where));
  EXPECT_THAT(refusal_line(decision, where), HasSubstr("\\u{4e2d}.pkl"));
  expect_header_fit(annotation_line(decision, where));
  decision.blockers.assign(300, "some-long-rule-identifier");
  decision.id = "HG-000000000000";
  const std::string line = refusal_line(decision, where);
  expect_header_fit(line);
  EXPECT_THAT(line, HasSubstr("hubgate waiver add HG-000000000000 --reason"));
  EXPECT_THAT(line, testing::EndsWith("; ref HG-000000000000"));
}

TEST(Messages, TellOfGapsRulesAndWaivers) {
  const Folder folder;
  const auto gate = opened(folder.path());
  const Decision unread = gate->decide(report({}, {gap(Reason::encrypted, Reach::load)}), hashed());
  EXPECT_THAT(refusal_line(unread, hashed()),
              HasSubstr("not readable to its end (encrypted): what could not be read"));
  EXPECT_THAT(refusal_line(unread, hashed()), HasSubstr("--rules gap:encrypted"));
  const Decision refused = gate->refuse("uploads-closed", "uploads are not scanned yet", context());
  EXPECT_THAT(refusal_line(refused, hashed()), Not(HasSubstr("waiver"))) << "none would help";
  EXPECT_THAT(refusal_line(refused, context()),
              HasSubstr("blocked model.pkl: uploads are not scanned yet [policy rule "
                        "uploads-closed]; ref HG-"));
  ASSERT_TRUE(gate->add_waiver(waiver({"*"})));
  const Decision waived = gate->decide(report({malicious()}), hashed());
  EXPECT_THAT(annotation_line(waived, hashed()), HasSubstr("passes by waiver 1"));
}

} // namespace
} // namespace hubgate
