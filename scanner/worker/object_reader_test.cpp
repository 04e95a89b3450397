// The process that reads Git's objects: what it answers, what it makes of hostile files, and what
// is left when it is gone.
#include "scanner/worker/object_reader.hpp"

#include "scanner/gitstore/made_pack.hpp"

#include <gmock/gmock.h>

#include <sys/mman.h>
#include <unistd.h>

namespace hubgate {
namespace {

using git::PackEntry;
using git::test::copy_of;
using git::test::delta_number;
using git::test::id_of;
using git::test::MadePack;
using testing::HasSubstr;

Fd file_of(std::string_view bytes) {
  Fd out(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(out.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return out;
}

class ReaderProcess : public testing::Test {
protected:
  void SetUp() override {
    auto pool = WorkerPool::start(all_formats());
    ASSERT_TRUE(pool) << pool.error().message;
    pool_ = std::move(*pool);
    auto reader = ObjectReader::start(*pool_, git::Oid::k_sha1);
    ASSERT_TRUE(reader) << reader.error().message;
    reader_ = std::move(*reader);
  }

  std::uint32_t add(const std::string& pack, const std::string& index) {
    const Fd pack_file = file_of(pack);
    const Fd index_file = file_of(index);
    const auto number = reader_->add_pack(pack_file.get(), index_file.get());
    EXPECT_TRUE(number);
    return *number;
  }
  std::uint32_t add(const MadePack& made) { return add(made.pack(), made.index()); }

  std::string answer() {
    const auto given = reader_->answer();
    if (!given) return "error: " + given.error().message;
    if (given->left_out) return "left out: " + std::to_string(given->header.size);
    return std::string(as_text(given->bytes));
  }
  std::string read(std::uint32_t pack, std::uint64_t offset, std::uint64_t most = 1 << 20) {
    const ObjectReader::ObjectPlace place{pack, offset};
    if (const auto asked = reader_->ask({&place, 1}, most); !asked)
      return "error: " + asked.error().message;
    return answer();
  }
  std::string stream(std::uint32_t pack, std::uint64_t offset) {
    std::string out;
    std::uint64_t announced = 0;
    const auto done = reader_->stream(
        {pack, offset}, [&](const git::ObjectHeader& header) { announced = header.size; },
        [&](Bytes piece) -> Result<void> {
          out += as_text(piece);
          return {};
        });
    if (!done) return "error: " + done.error().message;
    EXPECT_EQ(announced, out.size());
    return out;
  }

  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<ObjectReader> reader_;
};

TEST_F(ReaderProcess, MakesTheIndexOfAPackThatHasNone) {
  MadePack made;
  const std::uint64_t base = made.object("what is the same in both");
  made.offset_delta(id_of("what is the same"), base,
                    delta_number(24) + delta_number(16) + copy_of(0, 16));
  made.id_delta(id_of("the same"), id_of("what is the same"),
                delta_number(16) + delta_number(8) + copy_of(8, 8));
  const Fd pack = file_of(made.pack());
  const Fd index(memfd_create("index", MFD_CLOEXEC));
  const auto count = reader_->make_index(pack.get(), index.get(), 3);
  ASSERT_TRUE(count) << count.error().message;
  EXPECT_EQ(*count, 3u);
  const auto number = reader_->add_pack(pack.get(), index.get());
  ASSERT_TRUE(number);
  EXPECT_EQ(read(*number, base), "what is the same in both");

  const Fd other(memfd_create("index", MFD_CLOEXEC));
  const auto more = reader_->make_index(pack.get(), other.get(), 2);
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().message, HasSubstr("more than 2 objects"));
}

TEST_F(ReaderProcess, AnswersInOrderWhateverIsAskedAhead) {
  MadePack made;
  std::vector<std::uint64_t> offsets;
  for (int i = 0; i < 2000; ++i)
    offsets.push_back(
        made.object(std::string(static_cast<std::size_t>(i % 700), 'x') + std::to_string(i)));
  const std::uint32_t pack = add(made);
  std::vector<ObjectReader::ObjectPlace> places;
  for (const std::uint64_t offset: offsets)
    places.push_back({pack, offset});
  for (std::size_t at = 0; at < places.size(); at += ObjectReader::k_ahead) {
    const auto portion =
        std::span(places).subspan(at, std::min(ObjectReader::k_ahead, places.size() - at));
    ASSERT_TRUE(reader_->ask(portion, 1 << 20));
    for (std::size_t i = 0; i < portion.size(); ++i)
      EXPECT_THAT(answer(), testing::EndsWith(std::to_string(at + i)));
  }
  EXPECT_EQ(reader_->unanswered(), 0u);
}

TEST_F(ReaderProcess, StreamsWhatIsLarge) {
  MadePack made;
  const std::string large(std::size_t{40} << 20, 'L');
  const std::uint64_t at = made.object(large);
  const std::string longer = large + large.substr(0, 70000);
  const auto size = static_cast<std::uint32_t>(large.size());
  const std::string instructions = copy_of(0, 0xffffff) + copy_of(0xffffff, 0xffffff) +
                                   copy_of(2 * 0xffffff, size - 2 * 0xffffff) + copy_of(0, 70000);
  const std::uint64_t delta = made.offset_delta(
      id_of("longer"), at, delta_number(large.size()) + delta_number(longer.size()) + instructions);
  const std::uint32_t pack = add(made);
  EXPECT_EQ(read(pack, at, 1000), "left out: " + std::to_string(large.size()));
  EXPECT_TRUE(stream(pack, at) == large);
  EXPECT_THAT(stream(pack, delta), HasSubstr("too large for memory"));
  const Fd one = file_of("");
  const Fd other = file_of("");
  ASSERT_TRUE(reader_->add_scratch(one.get(), other.get()));
  const std::uint32_t again = add(made); // scratches are for packs that come after them
  EXPECT_TRUE(stream(again, delta) == longer);
  EXPECT_EQ(read(again, at, 1000), "left out: " + std::to_string(large.size()));
}

TEST_F(ReaderProcess, ReadsLooseObjects) {
  using namespace std::string_literals;
  const Fd good = file_of(git::test::deflated("blob 5\0hello"s));
  const Fd bad = file_of(git::test::deflated("blob 5\0hell"s));
  ASSERT_TRUE(reader_->ask_loose(good.get(), 100));
  EXPECT_EQ(answer(), "hello");
  ASSERT_TRUE(reader_->ask_loose(good.get(), 0));
  EXPECT_EQ(answer(), "left out: 5");
  ASSERT_TRUE(reader_->ask_loose(bad.get(), 100));
  EXPECT_THAT(answer(), HasSubstr("shorter"));
  EXPECT_TRUE(reader_->stream_loose(
      good.get(), [](const git::ObjectHeader&) {}, [](Bytes) { return Result<void>(); }));
  const Fd empty = file_of("");
  EXPECT_FALSE(reader_->ask_loose(empty.get(), 100));
}

TEST_F(ReaderProcess, GoesOnBehindHostileFiles) {
  MadePack cycle;
  const std::string delta = delta_number(1) + delta_number(1) + copy_of(0, 1);
  const std::uint64_t one = cycle.id_delta(id_of("one"), id_of("two"), delta);
  cycle.id_delta(id_of("two"), id_of("one"), delta);
  const std::uint32_t cyclic = add(cycle);
  EXPECT_THAT(read(cyclic, one), HasSubstr("too many deltas"));
  EXPECT_THAT(stream(cyclic, one), HasSubstr("too many deltas"));
  MadePack good;
  const std::uint64_t at = good.object("good");
  const std::uint32_t broken = add("no pack at all, but long enough for one", good.index());
  EXPECT_THAT(read(broken, at), HasSubstr("doesn't begin as one"));
  EXPECT_THAT(read(99, 12), HasSubstr("never given"));
  EXPECT_EQ(read(add(good), at), "good");
}

TEST_F(ReaderProcess, AFileThatShrinksEndsItAndIsSaid) {
  MadePack made;
  std::string noise;
  for (std::uint32_t i = 1; i < 200000; ++i)
    noise += static_cast<char>((i * 2654435761u) >> 24);
  const std::uint64_t at = made.object(noise);
  const Fd pack = file_of(made.pack());
  const Fd index = file_of(made.index());
  const auto number = reader_->add_pack(pack.get(), index.get());
  ASSERT_TRUE(number);
  EXPECT_EQ(read(*number, at, 10), "left out: " + std::to_string(noise.size()));
  ASSERT_EQ(ftruncate(pack.get(), 4096), 0);
  EXPECT_THAT(read(*number, at), HasSubstr("is gone"));
  EXPECT_THAT(read(*number, at), HasSubstr("is gone"));
}

} // namespace
} // namespace hubgate
