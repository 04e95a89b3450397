#include "policy/audit.hpp"

#include "policy/audit_file.hpp"
#include "policy/test_reports.hpp"

#include <gmock/gmock.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <thread>

namespace hubgate {
namespace {

using namespace testing_support;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<AuditLog> opened(const std::filesystem::path& dir,
                                 std::uint64_t segment_bytes = std::uint64_t{1} << 28) {
  AuditLog::Options options;
  options.dir = dir;
  options.segment_bytes = segment_bytes;
  auto log = AuditLog::open(options);
  EXPECT_TRUE(log) << (log ? "" : log.error().message);
  return log ? std::move(*log) : nullptr;
}

boost::json::object fields(int number) {
  boost::json::object out;
  out["event"] = "decision";
  out["id"] = "HG-" + std::to_string(number);
  out["path"] = std::string(static_cast<std::size_t>(number % 50), 'p');
  return out;
}

void write_lines(const std::filesystem::path& dir, int count,
                 std::uint64_t segment_bytes = std::uint64_t{1} << 28) {
  const auto log = opened(dir, segment_bytes);
  for (int i = 0; i < count; ++i)
    ASSERT_TRUE(log->append(fields(i)));
}

std::string read(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> lines(const std::filesystem::path& file) {
  std::vector<std::string> out;
  EXPECT_TRUE(each_line(file, [&](std::string_view text, std::uint64_t) {
    out.emplace_back(text);
    return true;
  }));
  return out;
}

void rewrite(const std::filesystem::path& file, const std::vector<std::string>& all) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  for (const auto& line: all)
    stream << line << "\n";
}

const char* const k_first = "audit-000001.jsonl";

TEST(Audit, LinesAreChainedAcrossRestartsAndSegments) {
  const Folder folder;
  write_lines(folder.path(), 20);
  write_lines(folder.path(), 20, 3000);
  const auto check = *verify_audit(folder.path());
  EXPECT_EQ(check.lines, 40U);
  EXPECT_EQ(check.first, 1U);
  EXPECT_EQ(check.last.seq, 40U);
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_GT(audit_segments(folder.path())->size(), 1U);
  int count = 0;
  ASSERT_TRUE(read_audit(folder.path(), 31, [&](const AuditLog::Line& line, const auto& seen) {
    EXPECT_EQ(line.seq, 31U + static_cast<std::uint64_t>(count));
    EXPECT_EQ(text_field(seen, "event"), "decision");
    ++count;
    return true;
  }));
  EXPECT_EQ(count, 10);
}

TEST(Audit, IsForItsOwnerOnly) {
  const Folder folder;
  write_lines(folder.path() / "audit", 1);
  struct stat info{};
  ASSERT_EQ(stat((folder.path() / "audit").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  ASSERT_EQ(stat((folder.path() / "audit" / k_first).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Audit, AnEditShows) {
  const Folder folder;
  write_lines(folder.path(), 20);
  auto all = lines(folder.path() / k_first);
  all[9].replace(all[9].find("HG-9"), 4, "HG-8");
  rewrite(folder.path() / k_first, all);
  EXPECT_THAT(verify_audit(folder.path())->problems,
              ElementsAre(HasSubstr("audit-000001.jsonl:11: does not continue "
                                    "audit-000001.jsonl:10")));
}

TEST(Audit, ADeletionShows) {
  const Folder folder;
  write_lines(folder.path(), 20);
  auto all = lines(folder.path() / k_first);
  all.erase(all.begin() + 4, all.begin() + 7);
  rewrite(folder.path() / k_first, all);
  EXPECT_THAT(verify_audit(folder.path())->problems,
              ElementsAre(HasSubstr(":5: 3 lines before it are missing (5 to 7)")));
}

TEST(Audit, ReorderingAndRepetitionShow) {
  const Folder folder;
  write_lines(folder.path(), 20);
  auto all = lines(folder.path() / k_first);
  std::swap(all[4], all[5]);
  rewrite(folder.path() / k_first, all);
  EXPECT_THAT(verify_audit(folder.path())->problems, Contains(HasSubstr("out of order")));
  std::swap(all[4], all[5]);
  all.insert(all.begin() + 5, all[4]);
  rewrite(folder.path() / k_first, all);
  EXPECT_THAT(verify_audit(folder.path())->problems, Contains(HasSubstr("repeated")));
}

TEST(Audit, ADeletedSegmentShows) {
  const Folder folder;
  write_lines(folder.path(), 60, 2000);
  ASSERT_GT(audit_segments(folder.path())->size(), 3U);
  std::filesystem::remove(segment_file(folder.path(), 2));
  EXPECT_THAT(verify_audit(folder.path())->problems, ElementsAre(HasSubstr("are missing")));
  std::filesystem::remove(segment_file(folder.path(), 1));
  EXPECT_GT(verify_audit(folder.path())->first, 1U);
}

TEST(Audit, GarbageInALineShows) {
  const Folder folder;
  write_lines(folder.path(), 5);
  auto all = lines(folder.path() / k_first);
  all[2] = "not json";
  rewrite(folder.path() / k_first, all);
  EXPECT_FALSE(verify_audit(folder.path())->problems.empty());
}

TEST(Audit, ATornLineIsToldOfAndANewSegmentGoesOn) {
  const Folder folder;
  write_lines(folder.path(), 5);
  std::ofstream(folder.path() / k_first, std::ios::app | std::ios::binary) << "{\"seq\":6,\"pre";
  auto check = *verify_audit(folder.path());
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.notes, ElementsAre(HasSubstr("torn line of 13 bytes; the next start")));
  const std::string before = read(folder.path() / k_first);
  write_lines(folder.path(), 3);
  EXPECT_EQ(read(folder.path() / k_first), before) << "what is torn is left as it is";
  check = *verify_audit(folder.path());
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.notes, ElementsAre(HasSubstr("as audit-000002.jsonl:1 says")));
  EXPECT_EQ(check.lines, 9U);
  // A tear that no later line knows of was made by hand.
  std::ofstream(folder.path() / k_first, std::ios::app | std::ios::binary) << "x";
  EXPECT_THAT(verify_audit(folder.path())->problems, ElementsAre(HasSubstr("does not know of")));
}

TEST(Audit, ALineWhoseRecordFailsIsTakenBack) {
  const Folder folder;
  const auto log = opened(folder.path());
  ASSERT_TRUE(log->append(fields(1)));
  const auto failed =
      log->append(fields(2), [](const AuditLog::Line&) -> Result<void> { return Error{"no"}; });
  EXPECT_EQ(failed.error().message, "no");
  EXPECT_EQ(log->append(fields(3))->seq, 2U);
  const auto check = *verify_audit(folder.path());
  EXPECT_EQ(check.lines, 2U);
  EXPECT_THAT(check.problems, IsEmpty());
}

TEST(Audit, AFullDiskIsAnErrorAndLeavesAWholeLog) {
  const Folder folder;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20'000, 20'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto log = AuditLog::open({.dir = folder.path()});
    if (!log) _exit(2);
    for (int i = 0; i < 1000; ++i)
      if (const auto done = (*log)->append(fields(i)); !done)
        _exit(done.error().message.find("audit log: can't write") == 0 ? 0 : 3);
    _exit(4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto check = *verify_audit(folder.path());
  EXPECT_GT(check.lines, 10U);
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.notes, IsEmpty());
}

TEST(Audit, ThreadsAndProcessesShareOneChain) {
  const Folder folder;
  const auto log = opened(folder.path(), 20'000);
  std::vector<pid_t> children;
  for (int c = 0; c < 3; ++c) {
    children.push_back(fork());
    if (children.back() == 0) {
      AuditLog::Options options;
      options.dir = folder.path();
      options.segment_bytes = 20'000;
      auto other = AuditLog::open(options);
      bool fine = other.ok();
      for (int i = 0; fine && i < 150; ++i)
        fine = (*other)->append(fields(i)).ok();
      _exit(fine ? 0 : 1);
    }
  }
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 150; ++i)
        if (!log->append(fields(i))) ++failures;
    });
  for (auto& thread: threads)
    thread.join();
  for (const pid_t child: children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  EXPECT_EQ(failures, 0);
  const auto check = *verify_audit(folder.path());
  EXPECT_EQ(check.lines, 900U);
  EXPECT_THAT(check.problems, IsEmpty());
}

// A child writes and tells through a pipe which numbers it got; it is killed at a random moment.
// Everything that it told of must be in the log, and the log whole.
TEST(Audit, KilledAtAnyMomentItLosesNothing) {
  const Folder folder;
  std::mt19937 random(42);
  std::uint64_t told_last = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      AuditLog::Options options;
      options.dir = folder.path();
      options.segment_bytes = 30'000;
      auto log = AuditLog::open(options);
      if (!log) _exit(1);
      for (int i = 0;; ++i) {
        const auto line = (*log)->append(fields(i));
        if (!line) _exit(1);
        const std::uint64_t seq = line->seq;
        if (write(ends[1], &seq, sizeof seq) != sizeof seq) _exit(1);
      }
    }
    close(ends[1]);
    std::uint64_t seq = 0;
    // Every other round is killed wherever it is, while it opens for instance.
    if (round % 2 == 0 && ::read(ends[0], &seq, sizeof seq) == sizeof seq) told_last = seq;
    usleep(static_cast<useconds_t>(2000 + random() % 15'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (::read(ends[0], &seq, sizeof seq) == sizeof seq)
      told_last = seq;
    close(ends[0]);
    const auto check = *verify_audit(folder.path());
    ASSERT_THAT(check.problems, IsEmpty());
    ASSERT_GE(check.last.seq, told_last);
  }
  EXPECT_GE(told_last, 12U);
}

TEST(Audit, GoesOnFromTheStoresHeadWhenTheFolderIsEmpty) {
  const Folder folder;
  AuditLog::Options options;
  options.dir = folder.path();
  options.head = {41, std::string(64, 'a')};
  ASSERT_TRUE((*AuditLog::open(options))->append(fields(1)));
  EXPECT_EQ(verify_audit(folder.path())->first, 42U);
}

TEST(Redacted, CutsQueriesAndSecrets) {
  EXPECT_EQ(redacted("https://u:p@cdn.example/x?X-Amz-Signature=abc#f"),
            "https://****@cdn.example/x");
  EXPECT_EQ(redacted("/api/x?token=abc"), "/api/x");
  EXPECT_EQ(redacted("Bearer abcdef"), "Bearer ****");
  EXPECT_EQ(redacted("a hf_abcdefghijklmnopqrstuvwxyz b"), "a hf_**** b");
  EXPECT_EQ(redacted("unknown/None; hf_hub/2.4.0; python/3.11"),
            "unknown/None; hf_hub/2.4.0; python/3.11");
  EXPECT_EQ(redacted("what?"), "what?");
  EXPECT_EQ(redacted("a\nb\x1b[2J"), "a\\nb\\x1b[2J");
  EXPECT_LE(redacted(std::string(5000, 'x'), 100).size(), 103U);
}

} // namespace
} // namespace hubgate
