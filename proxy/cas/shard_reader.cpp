#include "proxy/cas/shard_reader.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_read = std::size_t{64} << 10;

Result<Fd> in_memory(Bytes bytes) {
  Fd memory(memfd_create("hubgate-shard", MFD_CLOEXEC));
  const Error failed{"no memory for the shard"};
  if (!memory) return failed;
  while (!bytes.empty()) {
    const ssize_t n = ::write(memory.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  if (lseek(memory.get(), 0, SEEK_SET) != 0) return failed;
  return memory;
}

/// Ends the worker that takes too long.
class Patience final : public Expiring {
public:
  Patience(Loop& loop, WorkerJob& job, Duration longest)
      : loop_(loop), job_(job), until_(Clock::now() + longest) {
    loop_.watch(*this);
  }
  ~Patience() override { loop_.forget(*this); }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;
  void expire(TimePoint now) override {
    if (now > until_) job_.kill();
  }

private:
  Loop& loop_;
  WorkerJob& job_;
  TimePoint until_;
};

} // namespace

Task<Result<xet::ShardClaims>> read_shard_in_worker(Loop& loop, WorkerPool& pool, Bytes shard,
                                                    Duration longest) {
  const Error failed{"the shard could not be read"};
  auto memory = in_memory(shard);
  if (!memory) co_return memory.error();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) co_return failed;
  const Fd answers(ends[0]);
  Fd sink(ends[1]);
  if (::fcntl(answers.get(), F_SETFL, O_NONBLOCK) != 0) co_return failed;
  auto job = pool.submit_service(&xet::serve_shard_reading, memory->get(), sink.get(), Limits{});
  if (!job) co_return job.error();
  sink.reset(); // the worker's end is the last one
  const Patience patience(loop, *job, longest);
  std::vector<std::uint8_t> answer;
  std::vector<std::uint8_t> piece(k_read);
  Readable readable(loop, answers.get());
  for (;;) {
    const ssize_t n = ::read(answers.get(), piece.data(), piece.size());
    if (n > 0) {
      answer.insert(answer.end(), piece.begin(), piece.begin() + n);
      if (answer.size() > xet::k_claims_most) co_return failed;
      continue;
    }
    if (n == 0) break;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return failed;
    const bool ready = co_await readable.wait();
    if (!ready) break;
  }
  co_return xet::read_claims(answer);
}

} // namespace hubgate::proxy
