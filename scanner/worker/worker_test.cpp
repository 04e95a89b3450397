#include "scanner/worker/worker.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

namespace hubgate {
namespace {

constexpr std::array<Rule, 1> k_rules{{{"test-seen", "test", Severity::suspicious, Reach::load, "",
                                        "", "", "the test format saw its command"}}};

// A format that misbehaves on command. It exists in this test only.
Claim probe(const Probe& probe) {
  return starts_with(probe.head, "TEST ") ? Claim::yes : Claim::no;
}

volatile int k_sink = 0;

Reading scan(Source& source, Session& session) {
  const std::string command(as_text(source.view(5, 16)));
  session.find(k_rules[0], 0, 4, command);
  if (command.starts_with("crash")) {
    std::raise(SIGSEGV);
  } else if (command.starts_with("hang")) {
    for (;;)
      k_sink = k_sink + 1;
  } else if (command.starts_with("sleep")) {
    for (;;)
      source.wait_end(), source.view(~std::uint64_t{0} - 1, 1);
  } else if (command.starts_with("memory")) {
    std::vector<std::string> hoard;
    for (;;)
      hoard.emplace_back(std::size_t{1} << 20, 'x');
  } else if (command.starts_with("open")) {
    (void)open("/etc/passwd", O_RDONLY);
  } else if (command.starts_with("socket")) {
    (void)socket(AF_INET, SOCK_STREAM, 0);
  } else if (command.starts_with("fork")) {
    (void)fork();
  } else if (command.starts_with("gap")) {
    session.gap(Reason::encrypted, Reach::load, 1, "no key", "*.pt");
    session.refer("code", 7, "model.py", "config.json");
  } else if (command.starts_with("inert")) {
    session.release(8);
    session.rest_is_inert(8);
    if (!source.view(9'000'000, 1).empty()) session.find(k_rules[0], 9, 1, "read back");
  }
  return Reading::valid;
}

const Format k_format{"test", "test", probe, scan, k_rules};
constexpr const Format* k_table[] = {&k_format};

class Worker : public testing::Test {
protected:
  static void SetUpTestSuite() {
    auto started = WorkerPool::start(k_table);
    ASSERT_TRUE(started.ok()) << started.error().message;
    pool = std::move(started).value();
  }
  static void TearDownTestSuite() { pool.reset(); }

  static Fd file_of(std::string_view text) {
    Fd fd(memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return fd;
  }

  static Report run(std::string_view text, const Limits& limits = {}, double deadline = 30) {
    const Fd fd = file_of(text);
    return scan_file(*pool, fd.get(), text.size(), limits, deadline);
  }

  static Reason only_reason(const Report& report) {
    EXPECT_EQ(report.gaps.size(), 1u);
    return report.gaps.empty() ? Reason::opaque : report.gaps[0].reason;
  }

  static std::unique_ptr<WorkerPool> pool;
};
std::unique_ptr<WorkerPool> Worker::pool;

TEST_F(Worker, reports_what_the_format_found) {
  const Report report = run("TEST ok");
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.format, "test");
  EXPECT_EQ(report.size, 7u);
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].evidence, "ok");
}

TEST_F(Worker, reports_conditions_and_references) {
  const Report report = run("TEST gap");
  ASSERT_EQ(report.gaps.size(), 1u);
  EXPECT_EQ(report.gaps[0].condition, "*.pt");
  ASSERT_EQ(report.references.size(), 1u);
  EXPECT_EQ(report.references[0].kind, "code");
  EXPECT_EQ(report.references[0].target, "model.py");
  EXPECT_EQ(report.references[0].offset, 7u);
  EXPECT_EQ(report.references[0].condition, "config.json");
}

TEST_F(Worker, an_unclaimed_object_is_opaque) {
  EXPECT_EQ(only_reason(run("\x01\x02\x03")), Reason::opaque);
}

TEST_F(Worker, a_crash_is_inconclusive_and_keeps_the_findings) {
  const Report report = run("TEST crash");
  EXPECT_EQ(only_reason(report), Reason::crash);
  EXPECT_EQ(report.findings.size(), 1u);
}

TEST_F(Worker, a_loop_ends_at_the_deadline) {
  EXPECT_EQ(only_reason(run("TEST hang", {}, 0.5)), Reason::timeout);
}

TEST_F(Worker, a_loop_ends_at_the_cpu_limit) {
  Limits limits;
  limits.cpu_seconds = -4; // the hard limit is five seconds above: one second
  EXPECT_EQ(only_reason(run("TEST hang", limits)), Reason::timeout);
}

TEST_F(Worker, memory_is_bounded) {
#ifndef HUBGATE_SANITIZED
  Limits limits;
  limits.memory = std::uint64_t{32} << 20;
  EXPECT_EQ(only_reason(run("TEST memory", limits)), Reason::out_of_memory);
#endif
}

#ifndef HUBGATE_SANITIZED
TEST_F(Worker, may_not_open_files) {
  EXPECT_EQ(only_reason(run("TEST open")), Reason::crash);
}
TEST_F(Worker, may_not_fork) {
  EXPECT_EQ(only_reason(run("TEST fork")), Reason::crash);
}
#endif
TEST_F(Worker, may_not_open_sockets) {
  EXPECT_EQ(only_reason(run("TEST socket")), Reason::crash);
}

TEST_F(Worker, a_shrinking_file_is_unreadable) {
  const Fd fd = file_of(std::string(1 << 20, 'x'));
  ASSERT_EQ(ftruncate(fd.get(), 10), 0);
  EXPECT_EQ(only_reason(scan_file(*pool, fd.get(), 1 << 20, Limits{})), Reason::unreadable);
}

TEST_F(Worker, a_batch_gives_one_report_an_item_even_if_one_crashes) {
  const std::string text = "TEST ok..TEST crash!TEST gap..";
  const Fd fd = file_of(text);
  const auto reports =
      scan_batch(*pool, fd.get(), text.size(), {{0, 7}, {9, 10}, {20, 8}, {0, 7}}, Limits{});
  ASSERT_EQ(reports.size(), 4u);
  EXPECT_TRUE(reports[0].complete());
  EXPECT_EQ(only_reason(reports[1]), Reason::crash);
  EXPECT_EQ(only_reason(reports[2]), Reason::encrypted);
  EXPECT_TRUE(reports[3].complete());
}

// Collects what arrives while the object arrives.
class Live final : public ReportSink {
public:
  void on_finding(const Finding& finding) override { findings.push_back(finding.evidence); }
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override { released = offset; }
  void on_rest_is_inert(std::uint64_t from) override { inert = from; }
  std::vector<std::string> findings;
  std::uint64_t released = 0;
  std::uint64_t inert = 0;
};

void pump(WorkerJob& job, AnswerReader& reader, bool (*until)(const AnswerReader&, const Live&),
          const Live& live) {
  std::array<std::uint8_t, 4096> buffer{};
  while (!until(reader, live)) {
    pollfd ready{job.answer_fd(), POLLIN, 0};
    ASSERT_GT(poll(&ready, 1, 20'000), 0);
    const ssize_t n = read(job.answer_fd(), buffer.data(), buffer.size());
    ASSERT_GT(n, 0);
    reader.feed(Bytes(buffer).first(static_cast<std::size_t>(n)));
  }
}

Result<std::unique_ptr<Spool>> make_spool(std::optional<std::uint64_t> size) {
  Spool::Options options;
  options.directory = testing::TempDir();
  options.memory_bytes = 4096;
  return Spool::create(size, options);
}

TEST_F(Worker, scans_an_object_while_it_arrives) {
  auto spool = make_spool(100'000);
  ASSERT_TRUE(spool.ok()) << spool.error().message;
  auto job = pool->submit(**spool, Limits{});
  ASSERT_TRUE(job.ok());
  Live live;
  AnswerReader reader(1, &live);
  ASSERT_TRUE((*spool)->append(as_bytes("TEST ok")).ok());
  ASSERT_TRUE((*spool)->append(as_bytes(std::string(99'993, ' '))).ok());
  EXPECT_GT((*spool)->on_disk(), 90'000u);
  (*spool)->finish();
  pump(*job, reader, [](const AnswerReader& r, const Live&) { return r.done(); }, live);
  EXPECT_TRUE(reader.report().complete());
  EXPECT_EQ(reader.report().size, 100'000u);
  EXPECT_EQ(live.findings.size(), 1u);
}

TEST_F(Worker, a_cut_object_is_truncated) {
  auto spool = make_spool(100'000);
  ASSERT_TRUE(spool.ok());
  auto job = pool->submit(**spool, Limits{});
  ASSERT_TRUE(job.ok());
  Live live;
  AnswerReader reader(1, &live);
  ASSERT_TRUE((*spool)->append(as_bytes("TEST ok")).ok());
  (*spool)->cut();
  pump(*job, reader, [](const AnswerReader& r, const Live&) { return r.done(); }, live);
  EXPECT_EQ(only_reason(reader.report()), Reason::truncated);
}

TEST_F(Worker, an_inert_rest_is_not_kept_but_its_tail_is) {
  constexpr std::uint64_t k_size = 10'000'000;
  auto spool = make_spool(k_size);
  ASSERT_TRUE(spool.ok());
  auto job = pool->submit(**spool, Limits{});
  ASSERT_TRUE(job.ok());
  Live live;
  AnswerReader reader(1, &live);
  std::string head = "TEST inert";
  head.resize(4096, ' ');
  ASSERT_TRUE((*spool)->append(as_bytes(head)).ok());
  pump(*job, reader, [](const AnswerReader&, const Live& l) { return l.inert != 0; }, live);
  EXPECT_EQ(live.released, k_size - k_held_tail);
  (*spool)->drop_rest();
  const std::string block(1000, '-');
  for (std::uint64_t sent = head.size(); sent < k_size;) {
    const auto n = std::min<std::uint64_t>(block.size(), k_size - sent);
    ASSERT_TRUE((*spool)->append(as_bytes(block).first(n)).ok());
    sent += n;
  }
  EXPECT_EQ((*spool)->on_disk(), 0u);
  (*spool)->finish();
  pump(*job, reader, [](const AnswerReader& r, const Live&) { return r.done(); }, live);
  EXPECT_TRUE(reader.report().complete()) << reader.report().gaps[0].detail;
  EXPECT_EQ(live.findings, (std::vector<std::string>{"inert           ", "read back"}));
}

TEST_F(Worker, what_was_given_up_is_not_read_as_zeros) {
  auto spool = make_spool(5'000'000);
  ASSERT_TRUE(spool.ok());
  ASSERT_TRUE((*spool)->append(as_bytes("head")).ok());
  (*spool)->drop_rest();
  ASSERT_TRUE((*spool)->append(as_bytes(std::string(4'999'996, 'z'))).ok());
  (*spool)->finish();
  auto source = ArrivingSource::from_spool(
      Fd(dup((*spool)->memory_fd())), Fd(dup((*spool)->disk_fd())), Fd(dup((*spool)->state_fd())));
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(as_text((*source)->view(0, 4)), "head");
  EXPECT_EQ(as_text((*source)->view(4'999'999, 10)), "z");
  EXPECT_EQ((*source)->fault(), Fault::none);
  EXPECT_TRUE((*source)->view(100, 10).empty());
  EXPECT_EQ((*source)->fault(), Fault::discarded);
}

TEST_F(Worker, what_the_reader_asked_for_stays_when_the_rest_goes) {
  constexpr std::uint64_t k_size = 8'000'000;
  auto spool = make_spool(k_size);
  ASSERT_TRUE(spool.ok());
  std::string all(k_size, '-');
  const std::vector<KeptRange> wanted{
      {50, 100}, {900'000, 32'768}, {1'048'000, 2000}, {3'000'000, 32'768}, {6'940'000, 32'768}};
  for (const KeptRange& range: wanted)
    for (std::uint64_t i = 0; i < range.length; ++i)
      all[range.begin + i] = static_cast<char>('a' + i % 23);
  const Bytes bytes = as_bytes(all);
  ASSERT_TRUE((*spool)->append(bytes.first(100)).ok());
  (*spool)->drop_rest(wanted);
  for (std::uint64_t at = 100; at < k_size; at += 70'001)
    ASSERT_TRUE(
        (*spool)->append(bytes.subspan(at, std::min<std::uint64_t>(70'001, k_size - at))).ok());
  EXPECT_EQ((*spool)->on_disk(), 3 * 32'768u + 2000u);
  (*spool)->finish();
  auto source = ArrivingSource::from_spool(
      Fd(dup((*spool)->memory_fd())), Fd(dup((*spool)->disk_fd())), Fd(dup((*spool)->state_fd())));
  ASSERT_TRUE(source.ok());
  (*source)->keep(wanted);
  for (const KeptRange& range: wanted)
    EXPECT_EQ(as_text((*source)->view(range.begin, range.length)),
              std::string_view(all).substr(range.begin, range.length))
        << range.begin;
  EXPECT_EQ((*source)->fault(), Fault::none);
  EXPECT_TRUE((*source)->view(2'000'000, 10).empty());
  EXPECT_EQ((*source)->fault(), Fault::discarded);
}

TEST(AnswerReader, ranges_to_keep_are_bounded) {
  const auto frame = [](std::vector<std::uint64_t> numbers) {
    std::string out;
    const auto put = [&out](std::uint64_t value, int bytes) {
      for (int i = 0; i < bytes; ++i)
        out += static_cast<char>(value >> (8 * i));
    };
    put(5 + 8 * numbers.size(), 4);
    put(4, 1);
    put(0, 4);
    for (const std::uint64_t number: numbers)
      put(number, 8);
    return out;
  };
  AnswerReader good;
  good.feed(as_bytes(frame({8, 100, 32'768})));
  ASSERT_EQ(good.kept().size(), 1u);
  EXPECT_EQ(good.kept()[0].begin, 100u);
  for (const auto& bad:
       {frame({8, 100, 32'769}), frame({8, ~std::uint64_t{0}, 16}), frame({8, 1})}) {
    AnswerReader reader;
    reader.feed(as_bytes(bad));
    EXPECT_TRUE(reader.kept().empty());
    reader.end();
    EXPECT_EQ(reader.report().gaps[0].reason, Reason::crash);
  }
}

TEST(AnswerReader, an_answer_of_nonsense_is_a_crash) {
  for (const std::string_view nonsense: {std::string_view("\xff\xff\xff\xff-----", 9),
                                         std::string_view("\x05\0\0\0\x09\0\0\0\0", 9)}) {
    AnswerReader reader;
    reader.feed(as_bytes(nonsense));
    reader.end();
    ASSERT_EQ(reader.report().gaps.size(), 1u);
    EXPECT_EQ(reader.report().gaps[0].reason, Reason::crash);
  }
}

TEST(AnswerReader, nothing_at_all_is_a_crash) {
  AnswerReader reader;
  reader.end();
  EXPECT_FALSE(reader.report().complete());
}

} // namespace
} // namespace hubgate
