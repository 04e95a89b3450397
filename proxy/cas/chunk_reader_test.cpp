// Chunks out of the bytes of a part: stored ones are read here, others in a worker; what is no xorb
// is refused.
#include "proxy/cas/chunk_reader.hpp"

#include "proxy/xet/decode_service.hpp"
#include "proxy/xet/vectors.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using testing::HasSubstr;

/// Gives `step` bytes at a time; breaks off at the end if it is told to.
class Slices final : public BodySource {
public:
  Slices(std::string bytes, std::size_t step, bool breaks = false)
      : bytes_(std::move(bytes)), step_(step), breaks_(breaks) {}
  Task<std::int64_t> read(std::span<std::uint8_t> out) override {
    const std::size_t n = std::min({step_, out.size(), bytes_.size() - at_});
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    co_return n == 0 && breaks_ ? std::int64_t{-1} : static_cast<std::int64_t>(n);
  }
  std::string error() const override { return "it broke off"; }
  std::optional<std::uint64_t> length() const override { return bytes_.size(); }

private:
  std::string bytes_;
  std::size_t step_;
  std::size_t at_ = 0;
  bool breaks_;
};

std::string stored_chunk(const std::string& raw) {
  std::string length;
  for (unsigned shift = 0; shift < 24; shift += 8)
    length += static_cast<char>(raw.size() >> shift & 0xff);
  return '\0' + length + '\0' + length + raw;
}

struct Outcome {
  std::string bytes;
  std::size_t chunks = 0;
  ChunkReader::Got end = ChunkReader::Got::chunk;
  std::string error;
};

class ChunkReaderProcess : public testing::Test {
protected:
  void SetUp() override {
    auto pool = WorkerPool::start({}, {&xet::serve_decoding});
    ASSERT_TRUE(pool) << pool.error().message;
    pool_ = std::move(*pool);
    loop_ = std::make_unique<Loop>(); // after the fork: it has threads
    reader_ = std::make_unique<ChunkReader>(*loop_, *pool_);
  }
  Task<void> read_all(BodySource& source, Outcome& out) {
    const bool begun = co_await reader_->begin(source);
    EXPECT_TRUE(begun);
    while (out.end == ChunkReader::Got::chunk) {
      Bytes raw;
      out.end = co_await reader_->next(raw);
      if (out.end != ChunkReader::Got::chunk) break;
      out.bytes += as_text(raw);
      ++out.chunks;
    }
    out.error = reader_->error();
    loop_->stop();
  }
  Task<void> leave_one_then_read(Slices& first, Slices& second, Outcome& out) {
    const bool begun = co_await reader_->begin(first);
    EXPECT_TRUE(begun);
    Bytes raw;
    const ChunkReader::Got got = co_await reader_->next(raw);
    EXPECT_EQ(got, ChunkReader::Got::chunk);
    co_await read_all(second, out);
  }
  Outcome run(const std::string& bytes, std::size_t step = 70'000, bool breaks = false) {
    Slices source(bytes, step, breaks);
    Outcome out;
    loop_->spawn([&] { return read_all(source, out); });
    loop_->context().restart();
    loop_->context().run();
    return out;
  }

  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<ChunkReader> reader_;
};

TEST_F(ChunkReaderProcess, ReadsStoredAndCompressedChunksInTheirOrder) {
  const std::string text = xet::vectors::input("text_400k");
  const std::string packed = xet::vectors::file("text_400k.bg4-lz4.wire.xorb");
  const std::string random = xet::vectors::random_bytes(5, 131'072);
  const std::string body =
      stored_chunk(random) + packed + stored_chunk("x") + stored_chunk("y") + packed;
  for (const std::size_t step: {std::size_t{1000}, std::size_t{70'000}, body.size()}) {
    const Outcome out = run(body, step);
    EXPECT_EQ(out.error, "");
    EXPECT_EQ(out.end, ChunkReader::Got::end);
    EXPECT_TRUE(out.bytes == random + text + "xy" + text) << step;
  }
}

TEST_F(ChunkReaderProcess, TakesOneByteAtATime) {
  const Outcome out = run(stored_chunk("hello") + stored_chunk("you"), 1);
  EXPECT_EQ(out.bytes, "helloyou");
  EXPECT_EQ(out.chunks, 2u);
  EXPECT_EQ(out.end, ChunkReader::Got::end);
}

TEST_F(ChunkReaderProcess, RefusesWhatIsNoXorb) {
  const std::string whole = stored_chunk("hello");
  EXPECT_THAT(run(whole.substr(0, whole.size() - 1)).error, HasSubstr("ends inside a chunk"));
  EXPECT_THAT(run(whole + "ab").error, HasSubstr("inside a chunk's header"));
  std::string bad = whole;
  bad[0] = 1;
  EXPECT_THAT(run(bad).error, HasSubstr("version 1"));
  bad = whole;
  bad[5] = 4; // two lengths
  EXPECT_EQ(run(bad).end, ChunkReader::Got::failed);
  std::string packed = xet::vectors::file("text_400k.bg4-lz4.wire.xorb");
  packed[8] ^= 1; // the frame's magic
  EXPECT_THAT(run(packed).error, HasSubstr("no LZ4 frame"));
}

TEST_F(ChunkReaderProcess, SaysThatTheSourceBrokeOff) {
  const std::string whole = stored_chunk("hello");
  for (const std::size_t n: {whole.size(), whole.size() - 1, std::size_t{3}, std::size_t{0}}) {
    const Outcome out = run(whole.substr(0, n), 70'000, true);
    EXPECT_EQ(out.end, ChunkReader::Got::broken);
    EXPECT_EQ(out.error, "it broke off");
  }
}

TEST_F(ChunkReaderProcess, BeginsAnewWhereverTheLastOneWasLeft) {
  const std::string packed = xet::vectors::file("text_400k.bg4-lz4.wire.xorb");
  Slices first(packed, packed.size());
  Slices second(packed, packed.size());
  Outcome out;
  loop_->spawn([&] { return leave_one_then_read(first, second, out); });
  loop_->context().restart();
  loop_->context().run();
  EXPECT_EQ(out.error, "");
  EXPECT_TRUE(out.bytes == xet::vectors::input("text_400k"));
}

} // namespace
} // namespace hubgate::proxy
