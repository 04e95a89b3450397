// Xorbs decoded in a worker: what comes out is what the vectors hold, and what is refused says why.
#include "proxy/cas/decoder.hpp"

#include "proxy/xet/decode_service.hpp"
#include "proxy/xet/vectors.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using Kind = xet::XorbStream::Kind;
using testing::HasSubstr;

struct Decoded {
  std::string bytes;
  std::size_t chunks = 0;
  std::string error;
};

Task<void> decode(Decoder& decoder, std::string body, Kind kind, std::size_t step, Decoded& out) {
  EXPECT_TRUE(decoder.begin(kind));
  Bytes raw;
  for (std::size_t at = 0; at < body.size(); at += step) {
    const std::string piece = body.substr(at, step);
    EXPECT_TRUE(decoder.feed(as_bytes(piece)));
    while (true) {
      const Decoder::Got got = co_await decoder.next(raw);
      if (got == Decoder::Got::nothing) break;
      if (got != Decoder::Got::chunk) {
        out.error = decoder.error();
        co_return;
      }
      out.bytes += as_text(raw);
      ++out.chunks;
    }
  }
  EXPECT_TRUE(decoder.end());
  const Decoder::Got got = co_await decoder.next(raw);
  if (got != Decoder::Got::done) out.error = decoder.error();
}

class DecoderProcess : public testing::Test {
protected:
  void SetUp() override {
    auto pool = WorkerPool::start({}, {&xet::serve_decoding});
    ASSERT_TRUE(pool) << pool.error().message;
    pool_ = std::move(*pool);
    loop_ = std::make_unique<Loop>(); // after the fork: it has threads
    auto decoder = Decoder::start(*loop_, *pool_);
    ASSERT_TRUE(decoder) << decoder.error().message;
    decoder_ = std::move(*decoder);
  }
  Task<void> decode_all(const std::string& body, Kind kind, std::size_t step, Decoded& out) {
    co_await decode(*decoder_, body, kind, step, out);
    loop_->stop();
  }
  Decoded run(const std::string& name, Kind kind, std::size_t step = 70'000) {
    return run_bytes(xet::vectors::file(name), kind, step);
  }
  Decoded run_bytes(const std::string& body, Kind kind = Kind::range, std::size_t step = 70'000) {
    Decoded out;
    loop_->on_error = [this](const std::string& what) {
      ADD_FAILURE() << what;
      loop_->stop();
    };
    loop_->spawn([&] { return decode_all(body, kind, step, out); });
    loop_->context().restart();
    loop_->run();
    return out;
  }

  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(DecoderProcess, GivesTheBytesOfAXorb) {
  const Decoded out = run("text_400k.bg4-lz4.wire.xorb", Kind::range);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.bytes, xet::vectors::input("text_400k"));
}

TEST_F(DecoderProcess, TakesOneByteAtATime) {
  const Decoded out = run("tiny5.auto.footer.xorb", Kind::xorb, 1);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.bytes, "hello");
}

TEST_F(DecoderProcess, ChecksAFooter) {
  const Decoded out = run("text_400k.auto.footer.xorb", Kind::xorb);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.bytes, xet::vectors::input("text_400k"));
}

TEST_F(DecoderProcess, SaysWhatIsWrong) {
  // One byte stored as a frame, with a byte behind the frame that one of xet-core's readers
  // ignores.
  using namespace std::string_literals;
  const std::string frame = "\x04\x22\x4d\x18\x60\x40\x82\x01\x00\x00\x80\x41\x00\x00\x00\x00"s;
  const auto chunk = [](const std::string& stored) {
    return "\0"s + static_cast<char>(stored.size()) + "\0\0\1\1\0\0"s + stored;
  };
  EXPECT_EQ(run_bytes(chunk(frame)).bytes, "A");
  EXPECT_THAT(run_bytes(chunk(frame + "j")).error, HasSubstr("behind a chunk's LZ4 frame"));
  EXPECT_EQ(run_bytes(chunk(frame)).error, ""); // the worker goes on
}

TEST_F(DecoderProcess, RefusesWhatIsCut) {
  const std::string whole = xet::vectors::file("text_400k.bg4-lz4.wire.xorb");
  EXPECT_THAT(run_bytes(whole.substr(0, whole.size() - 1)).error, HasSubstr("ends inside a chunk"));
}

TEST(Decoder, NeedsItsServiceInThePool) {
  auto pool = WorkerPool::start({});
  ASSERT_TRUE(pool);
  Loop loop;
  EXPECT_FALSE(Decoder::start(loop, **pool));
}

} // namespace
} // namespace hubgate::proxy
