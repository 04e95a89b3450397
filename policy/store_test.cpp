#include "policy/store.hpp"

#include "policy/test_reports.hpp"

#include <sqlite3.h>

#include <gmock/gmock.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

namespace hubgate {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Store> opened(const std::filesystem::path& dir, std::string rules = "rules-1") {
  auto store = Store::open({dir, "engine-1", std::move(rules), false, false});
  EXPECT_TRUE(store) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

ObjectDigest object(std::uint8_t seed, std::size_t blocks = 2) {
  ObjectDigest out;
  out.sha256.fill(seed);
  out.size = blocks * k_block_size + 7;
  for (std::size_t i = 0; i < blocks; ++i) {
    ChainingValue value{};
    value.fill(0x01020304U * (static_cast<std::uint32_t>(i) + seed));
    out.blocks.push_back(value);
  }
  return out;
}

DecisionRecord decision(const std::string& id, Time time = now()) {
  DecisionRecord out;
  out.time = time;
  out.context = context();
  out.context.sha256 = object(7).sha256;
  out.context.groups = {"a", "b"};
  out.decision.id = id;
  out.decision.rule = "malicious";
  out.decision.would_be_rule = "malicious";
  out.decision.reason = "it attacks";
  out.decision.verdict = VerdictKind::malicious;
  out.decision.inconclusive = false;
  out.decision.blockers = {"pickle-dangerous-call"};
  out.decision.waiver = 3;
  out.finding_rules = {"pickle-dangerous-call"};
  out.format = "pickle";
  out.policy = "guarded 00";
  out.report = "abc";
  return out;
}

TEST(Store, AnAnalysisComesBackAsItWas) {
  const Folder folder;
  Report seen = report({malicious(), note()}, {gap(Reason::opaque, Reach::data)});
  seen.gaps[0].condition = "*.py";
  seen.references = {{"code", "model.py", "a!b", 7, "config.json"}};
  const ObjectDigest it = object(1);
  {
    const auto store = opened(folder.path() / "data");
    ASSERT_TRUE(store->remember(it, seen));
  }
  const auto store = opened(folder.path() / "data");
  const auto found = *store->analysis({it.sha256, it.size});
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->current);
  EXPECT_EQ(found->blocks, it.blocks);
  EXPECT_EQ(to_json(found->report), to_json(seen));
  EXPECT_EQ(found->report.gaps[0].condition, "*.py");
  ASSERT_EQ(found->report.references.size(), 1u);
  EXPECT_EQ(found->report.references[0].target, "model.py");
  EXPECT_EQ(found->report.references[0].condition, "config.json");
  EXPECT_FALSE(store->analysis({it.sha256, it.size + 1})->has_value()) << "length is in the key";
  EXPECT_FALSE(store->analysis({object(2).sha256, it.size})->has_value());
}

TEST(Store, OldRulesAreStaleAndNeverHideCurrentOnes) {
  const Folder folder;
  const ObjectDigest it = object(1);
  ASSERT_TRUE(opened(folder.path())->remember(it, report({})));
  const auto newer = opened(folder.path(), "rules-2");
  auto found = *newer->analysis({it.sha256, it.size});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->current);
  EXPECT_EQ(found->rules, "rules-1");
  ASSERT_TRUE(newer->remember(it, report({malicious()})));
  found = *newer->analysis({it.sha256, it.size});
  EXPECT_TRUE(found->current);
  EXPECT_EQ(found->report.findings.size(), 1U);
  EXPECT_TRUE((*opened(folder.path())->analysis({it.sha256, it.size}))->report.findings.empty());
}

TEST(Store, UnfinishedScansAreNoRecordsAndBackOff) {
  const Folder folder;
  const auto store = opened(folder.path());
  const ObjectDigest it = object(1);
  for (const Reason reason:
       {Reason::crash, Reason::timeout, Reason::out_of_memory, Reason::unreadable})
    EXPECT_FALSE(store->remember(it, report({malicious()}, {gap(reason, Reach::load)})));
  EXPECT_FALSE(store->analysis({it.sha256, it.size})->has_value());
  EXPECT_FALSE(store->retry_after({it.sha256, it.size})->has_value());
  const Time first = *store->note_failure({it.sha256, it.size}, "crash") - now();
  const Time second = *store->note_failure({it.sha256, it.size}, "crash") - now();
  EXPECT_NEAR(static_cast<double>(first), 30, 2);
  EXPECT_NEAR(static_cast<double>(second), 60, 2);
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(store->note_failure({it.sha256, it.size}, "crash"));
  EXPECT_LE(**store->retry_after({it.sha256, it.size}) - now(), 3600);
  EXPECT_FALSE(opened(folder.path(), "rules-2")->retry_after({it.sha256, it.size})->has_value())
      << "new rules may try again at once";
  ASSERT_TRUE(store->remember(it, report({})));
  EXPECT_FALSE(store->retry_after({it.sha256, it.size})->has_value());
}

TEST(Store, TreesAreKeptByDigest) {
  const Folder folder;
  const auto store = opened(folder.path());
  ASSERT_TRUE(store->remember_tree("tree-1", report({unknown_class()})));
  EXPECT_TRUE((*store->tree("tree-1"))->current);
  EXPECT_FALSE(store->tree("tree-2")->has_value());
  EXPECT_FALSE((*opened(folder.path(), "rules-2")->tree("tree-1"))->current);
}

TEST(Store, DecisionsComeBackInOrder) {
  const Folder folder;
  const auto store = opened(folder.path());
  const Time start = 1'700'000'000;
  for (int i = 0; i < 1200; ++i)
    ASSERT_TRUE(store->record(decision("HG-" + std::to_string(i), start + i / 3),
                              {static_cast<std::uint64_t>(i) + 1, "hash"}));
  int count = 0;
  ASSERT_TRUE(store->decisions(start + 1, [&](const DecisionRecord& record) {
    EXPECT_EQ(record.decision.id, "HG-" + std::to_string(count + 3));
    ++count;
    return true;
  }));
  EXPECT_EQ(count, 1197);
  EXPECT_EQ(store->audit_head()->seq, 1200U);
  const auto back = *store->decision("HG-5");
  EXPECT_EQ(to_json(*back), to_json(decision("HG-5", start + 1)));
  EXPECT_FALSE(store->decision("HG-x")->has_value());
  // The head never goes back, and a decision is never overwritten.
  ASSERT_TRUE(store->record(decision("HG-5", start + 9), {3, "other"}));
  EXPECT_EQ(store->audit_head()->seq, 1200U);
  EXPECT_EQ((*store->decision("HG-5"))->time, start + 1);
}

TEST(Store, WaiversEndByTimeAndByHand) {
  const Folder folder;
  const auto store = opened(folder.path());
  Waiver waiver;
  waiver.sha256 = object(1).sha256;
  waiver.rules = {"a", "gap:opaque"};
  waiver.scope = "acme/*";
  waiver.reason = "reviewed";
  waiver.approver = "carol";
  waiver.created = now();
  waiver.expires = now() + 60;
  const std::int64_t id = *store->add_waiver(waiver);
  auto found = *store->waivers_for(waiver.sha256);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].rules, ElementsAre("a", "gap:opaque"));
  EXPECT_TRUE(found[0].active(now()));
  EXPECT_FALSE(found[0].active(waiver.expires));
  EXPECT_TRUE(*store->revoke_waiver(id, "dave"));
  EXPECT_FALSE(*store->revoke_waiver(id, "dave"));
  EXPECT_FALSE((*store->waivers_for(waiver.sha256))[0].active(now()));
  EXPECT_TRUE(store->waivers_for(object(2).sha256)->empty());
}

TEST(Store, IsForItsOwnerOnly) {
  const Folder folder;
  const auto dir = folder.path() / "deep" / "data";
  const auto store = opened(dir);
  ASSERT_TRUE(store->remember(object(1), report({})));
  struct stat info{};
  ASSERT_EQ(stat(dir.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  for (const auto& entry: std::filesystem::directory_iterator(dir)) {
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << entry.path();
  }
  const auto shared = folder.path() / "shared";
  std::filesystem::create_directory(shared);
  ASSERT_EQ(chmod(shared.c_str(), 0777), 0);
  EXPECT_THAT(Store::open({shared, "e", "r", false, false}).error().message,
              HasSubstr("others may write to it"));
}

TEST(Store, DamageIsAClearError) {
  const Folder folder;
  std::ofstream(folder.path() / "hubgate.db") << std::string(5000, 'x');
  EXPECT_THAT(Store::open({folder.path(), "e", "r", false, false}).error().message,
              HasSubstr("the database is damaged"));

  const Folder second;
  {
    const auto store = opened(second.path());
    for (std::uint8_t i = 0; i < 200; ++i)
      ASSERT_TRUE(store->remember(object(i), report({malicious()})));
  }
  // Pages in the middle, not the head.
  std::fstream file(second.path() / "hubgate.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(100'000, '\xff');
  file.close();
  auto store = Store::open({second.path(), "engine-1", "rules-1", false, false});
  if (store) {
    const auto found = (*store)->analysis({object(3).sha256, object(3).size});
    EXPECT_TRUE(!found || !found->has_value());
    const auto kept = (*store)->remember(object(250), report({note(), malicious()}));
    EXPECT_FALSE(kept);
  } else {
    EXPECT_THAT(store.error().message, HasSubstr("store"));
  }
}

TEST(Store, WhatIsOwedStaysUntilItIsSettled) {
  const Folder folder;
  {
    const auto store = opened(folder.path());
    ASSERT_TRUE(store->put_owed("b", "{\"n\":1}"));
    ASSERT_TRUE(store->put_owed("a", "{}"));
    ASSERT_TRUE(store->put_owed("b", "{\"n\":2}")); // stays as it was
  }
  const auto store = opened(folder.path());
  const auto owed = store->owed();
  ASSERT_TRUE(owed);
  ASSERT_EQ(owed->size(), 2U);
  EXPECT_EQ(owed->front().key, "b");
  EXPECT_EQ(owed->front().record, "{\"n\":1}");
  EXPECT_GT(owed->front().made, 0);
  ASSERT_TRUE(store->drop_owed("b"));
  ASSERT_TRUE(store->drop_owed("never"));
  EXPECT_EQ(store->owed()->size(), 1U);
}

TEST(Store, AnOlderSchemaIsBroughtUpToDate) {
  const Folder folder;
  ASSERT_TRUE(opened(folder.path())->remember(object(3), report({malicious()})));
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((folder.path() / "hubgate.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "DROP TABLE owed; PRAGMA user_version = 1", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  const auto store = opened(folder.path());
  EXPECT_TRUE(store->analysis({object(3).sha256, object(3).size})->has_value());
  EXPECT_TRUE(store->put_owed("a", "{}"));
}

TEST(Store, ANewerSchemaIsRefused) {
  const Folder folder;
  opened(folder.path());
  std::fstream file(folder.path() / "hubgate.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(60); // user_version, big-endian, in the file header
  file.write("\0\0\0\x63", 4);
  file.close();
  EXPECT_THAT(Store::open({folder.path(), "e", "r", false, false}).error().message,
              HasSubstr("newer hubgate"));
}

TEST(Store, AFolderThatIsAFileIsAClearError) {
  const Folder folder;
  std::ofstream(folder.path() / "data") << "x";
  EXPECT_THAT(Store::open({folder.path() / "data", "e", "r", false, false}).error().message,
              HasSubstr("is not a folder"));
}

TEST(Store, AFullDiskIsAClearErrorAndLosesNothing) {
  const Folder folder;
  ASSERT_TRUE(opened(folder.path())->record(decision("HG-first"), {1, "h"}));
  const pid_t child = fork();
  if (child == 0) {
    // The limit on the length of a file stands in for a full disk.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto store = Store::open({folder.path(), "engine-1", "rules-1", false, false});
    if (!store) _exit(2);
    for (int i = 0; i < 2000; ++i) {
      const auto done = (*store)->record(decision("HG-" + std::to_string(i)), {2, "h"});
      if (!done) _exit(done.error().message.find("store: can't") == 0 ? 0 : 3);
    }
    _exit(4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(opened(folder.path())->decision("HG-first")->has_value());
}

TEST(Store, ManyThreadsAndProcesses) {
  const Folder folder;
  const auto store = opened(folder.path());
  const pid_t child = fork();
  if (child == 0) {
    auto other = Store::open({folder.path(), "engine-1", "rules-1", false, false});
    bool fine = other.ok();
    for (int i = 0; fine && i < 200; ++i)
      fine = (*other)->record(decision("HG-child-" + std::to_string(i)), {1, "h"}).ok();
    _exit(fine ? 0 : 1);
  }
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (std::uint8_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto id = "HG-" + std::to_string(t) + "-" + std::to_string(i);
        if (!store->record(decision(id), {1, "h"})) ++failures;
        if (!store->remember(object(t), report({malicious()}))) ++failures;
        const auto found = store->analysis({object(t).sha256, object(t).size});
        if (!found || !found->has_value()) ++failures;
      }
    });
  for (auto& thread: threads)
    thread.join();
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(failures, 0);
  int count = 0;
  ASSERT_TRUE(store->decisions(0, [&](const DecisionRecord&) {
    ++count;
    return true;
  }));
  EXPECT_EQ(count, 600);
}

TEST(Time, IsoBothWays) {
  EXPECT_EQ(to_iso(1'763'708'562), "2025-11-21T07:02:42Z");
  EXPECT_EQ(from_iso("2025-11-21T07:02:42Z"), 1'763'708'562);
  EXPECT_EQ(from_iso("2025-11-21T07:02:42.123Z"), 1'763'708'562);
  EXPECT_EQ(from_iso("1970-01-02"), 86400);
  for (const char* bad: {"", "soon", "2025-13-01", "2025-02-31", "2025-11-21x", "30d"})
    EXPECT_EQ(from_iso(bad), std::nullopt) << bad;
}

TEST(Hex, OfADigest) {
  EXPECT_EQ(hex(*sha256_from_hex(std::string(62, '0') + "aF")), std::string(62, '0') + "af");
  EXPECT_FALSE(sha256_from_hex(std::string(63, '0')));
  EXPECT_FALSE(sha256_from_hex(std::string(63, '0') + "g"));
}

} // namespace
} // namespace hubgate
