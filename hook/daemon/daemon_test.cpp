// What hook and daemon say to each other, and what they refuse to hear. Whole pushes through a
// daemon are driven by tests/e2e/test_hook_daemon.py.
#include "hook/daemon/channel.hpp"
#include "policy/json.hpp"
#include "policy/judge/analyst.hpp"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace hubgate::daemon {
namespace {

Report report() {
  Report out;
  out.format = "pickle";
  out.size = 77;
  Finding finding;
  finding.rule = "pickle-dangerous-call";
  finding.klass = "dangerous-call";
  finding.severity = Severity::malicious;
  finding.reach = Reach::load;
  finding.where = "data.pkl";
  finding.offset = 12;
  finding.evidence = "os.system('echo')";
  finding.condition = "*.pkl|*.pth";
  out.findings.push_back(finding);
  out.gaps.push_back(Gap{Reason::encrypted, Reach::data, "b", 9, "a key", "*.zip"});
  out.references.push_back({"file", "other.bin", "", 3, ""});
  out.dropped = 4;
  return out;
}

template <typename T, typename Get> std::optional<T> there_and_back(const T& value, Get get) {
  Out out;
  put(out, value);
  // Cut anywhere, it is nothing.
  for (std::size_t i = 0; i < out.size(); ++i) {
    Reader cut(Bytes(out.bytes()).first(i));
    EXPECT_FALSE(get(cut)) << i;
  }
  Reader in(out.bytes());
  auto read = get(in);
  EXPECT_TRUE(in.at_end());
  return read;
}

TEST(Wire, KeepsAnAnalysis) {
  const auto read =
      there_and_back(Analysis{{sha256(as_bytes("x")), 77, {}}, report()}, get_analysis);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->digest.sha256, sha256(as_bytes("x")));
  EXPECT_EQ(read->digest.size, 77u);
  EXPECT_EQ(boost::json::serialize(to_json(read->report)),
            boost::json::serialize(to_json(report())));
}

TEST(Wire, KeepsADecisionAndItsContext) {
  Decision decision;
  decision.action = Action::quarantine;
  decision.would_be = Action::block;
  decision.mode = Mode::audit;
  decision.rule = "block-malicious";
  decision.verdict = VerdictKind::malicious;
  decision.finding = report().findings.front();
  decision.blockers = {"pickle-dangerous-call", "gap:encrypted"};
  decision.waiver = 7;
  decision.id = "HG-0123456789AB";
  const auto read = there_and_back(decision, get_decision);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->action, Action::quarantine);
  EXPECT_EQ(read->mode, Mode::audit);
  EXPECT_EQ(read->verdict, VerdictKind::malicious);
  EXPECT_EQ(read->finding->evidence, "os.system('echo')");
  EXPECT_FALSE(read->gap);
  EXPECT_EQ(read->blockers, decision.blockers);
  EXPECT_EQ(read->waiver, 7);
  EXPECT_EQ(read->id, decision.id);

  Context context;
  context.direction = Direction::push;
  context.road = Road::lfs;
  context.repo = "org/name";
  context.path = "a\nb";
  context.sha256 = sha256(as_bytes("x"));
  context.groups = {"staff", "ml"};
  const auto again = there_and_back(context, get_context);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->road, Road::lfs);
  EXPECT_EQ(again->path, "a\nb");
  EXPECT_EQ(again->sha256, context.sha256);
  EXPECT_EQ(again->groups, context.groups);
}

TEST(Wire, RefusesWhatNobodyWrites) {
  // An enumeration's value beyond its last, a length beyond the message, ranges outside of a file.
  Out context;
  put(context, Context{});
  auto bytes = context.bytes();
  bytes[1] = 200;
  Reader bad(bytes);
  EXPECT_FALSE(get_context(bad));

  Out text;
  text.u32(0xffffffff);
  Reader long_text(text.bytes());
  EXPECT_FALSE(get_text(long_text));

  Out items;
  put(items, std::vector<BatchItem>{{0, 10}, {5, ~std::uint64_t{0}}});
  Reader outside(items.bytes());
  EXPECT_FALSE(get_items(outside, 10));
  Reader inside(items.bytes());
  EXPECT_FALSE(get_items(inside, 4));

  Out many;
  many.u32(k_max_items + 1);
  for (std::size_t i = 0; i <= k_max_items; ++i)
    many.u64(0).u64(0);
  Reader too_many(many.bytes());
  EXPECT_FALSE(get_items(too_many, 10));
}

TEST(Wire, AHeaderTellsThePayloadsLength) {
  const auto datagram = [](Header header, std::size_t payload) {
    auto out = header_bytes(header);
    out.resize(out.size() + payload);
    return out;
  };
  EXPECT_TRUE(read_header(datagram({Type::known, false, false, 1, 5}, 5)));
  EXPECT_FALSE(read_header(datagram({Type::known, false, false, 1, 5}, 4)));
  EXPECT_FALSE(read_header(datagram({Type::known, true, false, 1, 5}, 5)));
  EXPECT_TRUE(read_header(datagram({Type::known, true, false, 1, 500'000}, 0)));
  EXPECT_FALSE(read_header(datagram({Type::known, true, false, 1, k_max_question + 1}, 0)));
  EXPECT_FALSE(read_header(datagram({static_cast<Type>(0), false, false, 1, 0}, 0)));
  EXPECT_FALSE(read_header(datagram({static_cast<Type>(12), false, false, 1, 0}, 0)));
  EXPECT_FALSE(read_header({}));
}

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()), 0);
    here = Channel(Fd(fds[0]));
    there = Channel(Fd(fds[1]));
  }
  Channel here{Fd()};
  Channel there{Fd()};
};

TEST(Channel, CarriesShortAndLongPayloadsAndAFile) {
  Pair pair;
  for (const std::size_t size:
       {std::size_t{0}, std::size_t{10}, k_max_datagram, std::size_t{3} << 20}) {
    const std::vector<std::uint8_t> payload(size, 0x5a);
    auto file = sealed_memory(as_bytes("what is attached"));
    ASSERT_TRUE(file);
    const auto message = Sending::make(Type::done, 9, payload, std::move(*file));
    ASSERT_TRUE(message);
    ASSERT_TRUE(pair.here.send(*message, Channel::Wait::yes));
    auto came = pair.there.receive();
    ASSERT_TRUE(came && *came);
    EXPECT_EQ((*came)->header.id, 9u);
    const auto read = Channel::payload(**came);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, payload);
    std::array<char, 32> text{};
    ASSERT_EQ(pread((*came)->attached.get(), text.data(), text.size(), 0), 16);
    EXPECT_STREQ(text.data(), "what is attached");
  }
  pair.here.shut();
  const auto end = pair.there.receive();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

// Sends bytes with descriptors, as a program does that keeps to no protocol.
void send_raw(const Channel& channel, const std::vector<std::uint8_t>& bytes,
              const std::vector<int>& fds) {
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 32)> control{};
  if (!fds.empty()) {
    head.msg_control = control.data();
    head.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  ASSERT_GE(sendmsg(channel.fd(), &head, MSG_NOSIGNAL), 0);
}

TEST(Channel, RefusesDescriptorsThatNobodyAnnounced) {
  const auto plain = header_bytes({Type::known, false, false, 1, 0});
  for (const std::size_t count: {std::size_t{1}, std::size_t{3}, std::size_t{20}}) {
    Pair pair;
    send_raw(pair.here, plain, std::vector<int>(count, STDERR_FILENO));
    EXPECT_FALSE(pair.there.receive()) << count;
  }
  Pair pair;
  send_raw(pair.here, header_bytes({Type::file, false, true, 1, 0}), {});
  EXPECT_FALSE(pair.there.receive());
}

TEST(Channel, RefusesAPayloadThatCanStillChange) {
  const auto announced = header_bytes({Type::decide, true, false, 1, 16});
  Pair pair;
  const Fd open_memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(open_memory.get(), "0123456789abcdef", 16), 16);
  send_raw(pair.here, announced, {open_memory.get()});
  auto unsealed = pair.there.receive();
  ASSERT_TRUE(unsealed && *unsealed);
  EXPECT_FALSE(Channel::payload(**unsealed));

  const auto longer = sealed_memory(as_bytes("0123456789abcdefg"));
  send_raw(pair.here, announced, {longer->get()});
  auto other_length = pair.there.receive();
  ASSERT_TRUE(other_length && *other_length);
  EXPECT_FALSE(Channel::payload(**other_length));

  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  send_raw(pair.here, announced, {pipe_ends[0]});
  auto fifo = pair.there.receive();
  ASSERT_TRUE(fifo && *fifo);
  EXPECT_FALSE(Channel::payload(**fifo));
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST(Channel, RefusesGarbage) {
  Pair pair;
  send_raw(pair.here, {'G', 'E', 'T', ' ', '/'}, {});
  EXPECT_FALSE(pair.there.receive());
  send_raw(pair.here, std::vector<std::uint8_t>(k_max_datagram + 1), {});
  EXPECT_FALSE(pair.there.receive());
}

TEST(SealedMemory, CannotBeChanged) {
  const auto memory = sealed_memory(as_bytes("bytes"));
  ASSERT_TRUE(memory);
  EXPECT_TRUE(is_sealed(memory->get()));
  EXPECT_LT(write(memory->get(), "x", 1), 0);
  EXPECT_LT(ftruncate(memory->get(), 0), 0);
  EXPECT_FALSE(is_sealed(STDERR_FILENO));
}

} // namespace
} // namespace hubgate::daemon
