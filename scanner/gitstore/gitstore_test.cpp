// Packs that no honest Git writes: whatever is wrong is an error, and nothing is believed.
#include "scanner/gitstore/loose.hpp"
#include "scanner/gitstore/made_pack.hpp"
#include "scanner/gitstore/pack_indexer.hpp"

#include <gmock/gmock.h>

namespace hubgate::git {
namespace {

using test::copy_of;
using test::delta_number;
using test::id_of;
using test::insert_of;
using test::MadePack;
using testing::HasSubstr;
using Type = PackEntry::Type;

/// A pack opened with its index, both kept.
class Opened {
public:
  explicit Opened(const MadePack& made, PackReader::Options options = {})
      : Opened(made.pack(), made.index(), options) {}
  Opened(std::string pack, std::string index_bytes, PackReader::Options options = {})
      : pack_(std::move(pack)), index_bytes_(std::move(index_bytes)) {
    auto index = PackIndex::open(as_bytes(index_bytes_), Oid::k_sha1);
    if (!index) {
      error_ = index.error().message;
      return;
    }
    index_ = std::make_unique<PackIndex>(*index);
    auto reader = PackReader::open(source_, index_.get(), options);
    if (!reader) {
      error_ = reader.error().message;
      return;
    }
    reader_ = std::move(*reader);
  }

  const std::string& error() const { return error_; }
  PackReader& operator*() { return *reader_; }

  std::string read(std::uint64_t offset, std::uint64_t most = 1 << 20) {
    const auto object = reader_->read(offset, most);
    if (!object) return "error: " + object.error().message;
    if (object->bytes == nullptr) return "left out: " + std::to_string(object->header.size);
    if (object->header.size != object->bytes->size()) return "sizes differ";
    return std::string(as_text(*object->bytes));
  }

  std::string stream(std::uint64_t offset) {
    std::string out;
    const auto done = reader_->stream(offset, [&](Bytes piece) {
      out += as_text(piece);
      return true;
    });
    return done ? out : "error: " + done.error().message;
  }

private:
  std::string pack_;
  std::string index_bytes_;
  MemorySource source_{as_bytes(pack_)};
  std::unique_ptr<PackIndex> index_;
  std::unique_ptr<PackReader> reader_;
  std::string error_;
};

class MemoryScratch final : public Scratch {
public:
  void clear() override { bytes_.clear(); }
  bool append(Bytes bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    ++writes;
    return true;
  }
  bool read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return false;
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return true;
  }
  int writes = 0;

private:
  std::vector<std::uint8_t> bytes_;
};

std::string delta_of(std::string_view base, std::size_t result, std::string_view instructions) {
  return delta_number(base.size()) + delta_number(result) + std::string(instructions);
}

TEST(Pack, ReadsObjectsAndDeltas) {
  MadePack made;
  const std::string base = "the quick brown fox jumps over the lazy dog";
  const std::uint64_t plain = made.object(base);
  const std::string second = "the quick red fox";
  const std::uint64_t by_offset = made.offset_delta(
      id_of(second), plain,
      delta_of(base, second.size(), copy_of(0, 10) + insert_of("red") + copy_of(15, 4)));
  const std::string third = "red fox red fox";
  const std::uint64_t by_id = made.id_delta(
      id_of(third), id_of(second),
      delta_of(second, third.size(), copy_of(10, 7) + insert_of(" ") + copy_of(10, 7)));
  Opened pack(made);
  ASSERT_EQ(pack.error(), "");
  for (int again = 0; again < 2; ++again) { // the second time from the cache
    EXPECT_EQ(pack.read(by_id), third);
    EXPECT_EQ(pack.read(by_offset), second);
    EXPECT_EQ(pack.read(plain), base);
    EXPECT_EQ(pack.stream(by_id), third);
    EXPECT_EQ((*pack).header(by_id)->size, third.size());
  }
  EXPECT_EQ(pack.read(by_id, 5), "left out: 15");
}

TEST(Pack, ReadsLargeBasesThroughScratches) {
  MadePack made;
  std::string text(3000, 'a');
  std::uint64_t at = made.object(text);
  for (int level = 0; level < 5; ++level) {
    const std::string longer = text + "level" + text.substr(0, 100);
    at = made.offset_delta(id_of(longer), at,
                           delta_of(text, longer.size(),
                                    copy_of(0, static_cast<std::uint32_t>(text.size())) +
                                        insert_of("level") + copy_of(0, 100)));
    text = longer;
  }
  MemoryScratch one;
  MemoryScratch other;
  PackReader::Options options;
  options.memory = 1000;
  options.cache = 0;
  {
    Opened without(made, options);
    EXPECT_THAT(without.stream(at), HasSubstr("too large for memory"));
  }
  options.scratch = &one;
  options.other_scratch = &other;
  Opened pack(made, options);
  EXPECT_EQ(pack.read(at), "left out: " + std::to_string(text.size()));
  EXPECT_EQ(pack.stream(at), text);
  EXPECT_GT(one.writes, 0);
  EXPECT_GT(other.writes, 0);
}

TEST(Pack, SmallResultsOfLargeBasesAreLeftToTheStream) {
  MadePack made;
  const std::string base(3000, 'b');
  const std::uint64_t plain = made.object(base);
  const std::uint64_t small =
      made.offset_delta(id_of("bb"), plain, delta_of(base, 2, copy_of(7, 2)));
  MemoryScratch one;
  MemoryScratch other;
  PackReader::Options options;
  options.memory = 1000;
  options.scratch = &one;
  options.other_scratch = &other;
  Opened pack(made, options);
  EXPECT_EQ(pack.read(small), "left out: 2");
  EXPECT_EQ(pack.stream(small), "bb");
}

TEST(Pack, SurvivesCycles) {
  MadePack made;
  const std::string delta = delta_of("x", 1, copy_of(0, 1));
  const std::uint64_t one = made.id_delta(id_of("one"), id_of("two"), delta);
  const std::uint64_t two = made.id_delta(id_of("two"), id_of("one"), delta);
  const std::uint64_t self = made.id_delta(id_of("self"), id_of("self"), delta);
  Opened pack(made);
  for (const std::uint64_t at: {one, two, self}) {
    EXPECT_THAT(pack.read(at), HasSubstr("too many deltas"));
    EXPECT_THAT(pack.stream(at), HasSubstr("too many deltas"));
    EXPECT_FALSE((*pack).header(at));
  }
}

TEST(Pack, BoundsTheDepthOfDeltas) {
  MadePack made;
  std::uint64_t at = made.object("x");
  const std::string delta = delta_of("x", 1, copy_of(0, 1));
  std::uint64_t deepest = 0;
  for (std::size_t i = 0; i < k_delta_depth + 1; ++i) {
    if (i == k_delta_depth) deepest = at;
    at = made.offset_delta(id_of(std::to_string(i)), at, delta);
  }
  PackReader::Options options;
  options.cache = 0;
  Opened pack(made, options);
  EXPECT_EQ(pack.read(deepest), "x");
  EXPECT_THAT(pack.read(at), HasSubstr("too many deltas"));
}

TEST(Pack, RefusesLiesAboutSizes) {
  MadePack made;
  const std::string text = "some text";
  const auto entry = [&](Type type, std::uint64_t size, std::string_view content) {
    return made.raw(id_of(std::to_string(made.pack().size())),
                    MadePack::head(type, size) + test::deflated(content));
  };
  const std::uint64_t shorter = entry(Type::blob, 100, text);
  const std::uint64_t longer = entry(Type::blob, 3, text);
  const std::uint64_t huge = entry(Type::blob, ~std::uint64_t{0} >> 3, text);
  const std::uint64_t empty = entry(Type::blob, 0, "");
  const std::uint64_t good = made.object(text);
  const auto delta = [&](std::string_view bytes) {
    return made.offset_delta(id_of(std::to_string(made.pack().size())), good, bytes);
  };
  const std::uint64_t wrong_base = delta(delta_number(5) + delta_number(1) + copy_of(0, 1));
  const std::uint64_t beyond = delta(delta_of(text, 5, copy_of(6, 5)));
  const std::uint64_t wraps = delta(delta_of(text, 5, copy_of(0xffffffff, 5)));
  const std::uint64_t too_much = delta(delta_of(text, 5, copy_of(0, 6)));
  const std::uint64_t too_little = delta(delta_of(text, 5, copy_of(0, 4)));
  const std::uint64_t cut_copy = delta(delta_of(text, 5, copy_of(0, 5).substr(0, 4)));
  const std::uint64_t cut_insert = delta(delta_of(text, 5, insert_of("hello").substr(0, 4)));
  const std::uint64_t reserved = delta(delta_of(text, 5, std::string(1, '\0') + copy_of(0, 5)));
  const std::uint64_t huge_result =
      delta(delta_number(text.size()) + delta_number(~std::uint64_t{0}) + copy_of(0, 5));
  const std::uint64_t overflow = delta(std::string(10, '\xff') + "\x7f");
  const std::uint64_t nothing = delta("");
  Opened pack(made);
  ASSERT_EQ(pack.error(), "");
  EXPECT_EQ(pack.read(empty), "");
  EXPECT_EQ(pack.stream(empty), "");
  EXPECT_THAT(pack.read(shorter), HasSubstr("shorter"));
  EXPECT_THAT(pack.read(longer), HasSubstr("longer"));
  EXPECT_THAT(pack.read(huge), HasSubstr("left out"));
  EXPECT_THAT(pack.stream(huge), HasSubstr("shorter"));
  EXPECT_THAT(pack.stream(longer), HasSubstr("longer"));
  EXPECT_THAT(pack.read(huge_result), HasSubstr("left out"));
  EXPECT_THAT(pack.stream(huge_result), HasSubstr("error"));
  for (const std::uint64_t at: {wrong_base, beyond, wraps, too_much, too_little, cut_copy,
                                cut_insert, reserved, overflow, nothing}) {
    EXPECT_THAT(pack.read(at), HasSubstr("error")) << at;
    EXPECT_THAT(pack.stream(at), HasSubstr("error")) << at;
  }
  EXPECT_THAT(pack.read(0), HasSubstr("outside"));
  EXPECT_THAT(pack.read(~std::uint64_t{0}), HasSubstr("outside"));
}

TEST(Pack, RefusesHeadsThatAreNone) {
  const auto parse = [](std::string_view head, std::uint64_t offset = 100) {
    return read_pack_entry(as_bytes(head), offset, Oid::k_sha1).has_value();
  };
  EXPECT_TRUE(parse("\x35"));
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse(std::string_view("\0", 1)));        // type 0
  EXPECT_FALSE(parse("\x55"));                           // type 5
  EXPECT_FALSE(parse("\xb5"));                           // cut size
  EXPECT_FALSE(parse(std::string(12, '\xb5') + "\x01")); // size over 64 bits
  EXPECT_FALSE(parse("\x75 too short an id"));
  EXPECT_TRUE(parse("\x65\x10"));
  EXPECT_FALSE(parse(std::string_view("\x65\x00", 2))); // itself
  EXPECT_FALSE(parse("\x65\x60", 20));                  // before the pack
  EXPECT_FALSE(parse("\x65\x10", 20));                  // inside its head
  EXPECT_FALSE(parse("\x65" + std::string(20, '\xff')));
}

TEST(Pack, IsRefusedWhenItIsNotThatOfItsIndex) {
  MadePack made;
  made.object("one");
  EXPECT_EQ(Opened(made).error(), "");
  std::string pack = made.pack();
  for (const std::size_t at: {std::size_t{0}, std::size_t{7}, std::size_t{11}, pack.size() - 1}) {
    std::string changed = pack;
    changed[at] = static_cast<char>(changed[at] ^ 1 ^ (at == 7 ? 4 : 0));
    EXPECT_NE(Opened(changed, made.index()).error(), "") << at;
  }
  for (std::size_t size = 0; size < pack.size(); ++size)
    EXPECT_NE(Opened(pack.substr(0, size), made.index()).error(), "") << size;
}

TEST(Index, FindsAllAndNothingElse) {
  MadePack made;
  for (int i = 0; i < 1000; ++i)
    made.object(std::to_string(i));
  const std::string bytes = made.index();
  const auto index = PackIndex::open(as_bytes(bytes), Oid::k_sha1);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->count(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    const auto at = index->find(id_of(std::to_string(i)));
    ASSERT_TRUE(at);
    EXPECT_EQ(index->oid(*at), id_of(std::to_string(i)));
    EXPECT_FALSE(index->find(id_of("x" + std::to_string(i))));
  }
  Oid longer;
  longer.size = Oid::k_sha256;
  EXPECT_FALSE(index->find(longer));
}

TEST(Index, IsRefusedWhenItsTablesDontAgree) {
  MadePack made;
  made.object("one");
  made.object("two");
  const std::string good = made.index();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(PackIndex::open(as_bytes(good).first(size), Oid::k_sha1)) << size;
  EXPECT_FALSE(PackIndex::open(as_bytes(good + "x"), Oid::k_sha1));
  EXPECT_FALSE(PackIndex::open(as_bytes(good + std::string(24, 'x')), Oid::k_sha1));
  std::string backwards = good;
  backwards[8 + 4 * 10] = '\x7f';
  EXPECT_FALSE(PackIndex::open(as_bytes(backwards), Oid::k_sha1));
}

TEST(Index, OffsetsOutOfTheirTableAreNone) {
  MadePack made;
  made.object("one");
  std::string bytes = made.index();
  const std::size_t offsets = 8 + 1024 + 24;
  bytes.replace(offsets, 4, test::number(0x80000001u, 4));
  auto index = PackIndex::open(as_bytes(bytes), Oid::k_sha1);
  ASSERT_TRUE(index);
  EXPECT_FALSE(index->offset(0));
  // One long offset: found, and outside of every pack.
  bytes.replace(offsets, 4, test::number(0x80000000u, 4));
  bytes.insert(offsets + 4, test::number(std::uint64_t{1} << 40, 8));
  index = PackIndex::open(as_bytes(bytes), Oid::k_sha1);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->offset(0), std::uint64_t{1} << 40);
  Opened pack(made.pack(), bytes);
  EXPECT_THAT(pack.read(*index->offset(0)), HasSubstr("outside"));
}

TEST(Index, ReadsVersionOne) {
  const Oid id = id_of("one");
  std::string bytes;
  for (std::size_t byte = 0; byte < 256; ++byte)
    bytes += test::number(id.bytes[0] <= byte ? 1 : 0, 4);
  bytes += test::number(12, 4) + std::string(as_text(id.view())) + std::string(40, 'c');
  const auto index = PackIndex::open(as_bytes(bytes), Oid::k_sha1);
  ASSERT_TRUE(index);
  ASSERT_TRUE(index->find(id));
  EXPECT_EQ(index->offset(*index->find(id)), 12u);
  EXPECT_EQ(index->oid(0), id);
}

std::string loose(std::string_view bytes) {
  std::string out;
  MemorySource source(as_bytes(bytes));
  const auto done = stream_loose(source, [&](Bytes piece) {
    out += as_text(piece);
    return true;
  });
  return done ? out : "error: " + done.error().message;
}

TEST(Loose, ReadsStrictly) {
  using namespace std::string_literals;
  EXPECT_EQ(loose(test::deflated("blob 5\0hello"s)), "hello");
  EXPECT_EQ(loose(test::deflated("tree 0\0"s)), "");
  const std::string large(300000, 'x');
  const std::string packed = test::deflated("blob 300000\0"s + large);
  EXPECT_EQ(loose(packed), large);
  for (const std::string& bad:
       {test::deflated("blob 5\0hell"s), test::deflated("blob 5\0hello!"s),
        test::deflated("blob 05\0hello"s), test::deflated("blob \0"s),
        test::deflated("blob 99999999999999999999\0x"s), test::deflated("thing 5\0hello"s),
        test::deflated("blob 5hello"s), test::deflated(""), "blob 5\0hello"s,
        test::deflated("blob 5\0hello"s) + "x"})
    EXPECT_THAT(loose(bad), HasSubstr("error")) << bad;
  for (std::size_t size = 0; size < packed.size(); ++size)
    EXPECT_THAT(loose(packed.substr(0, size)), HasSubstr("error")) << size;
}

TEST(Oid, IsTheHashOfKindSizeAndContent) {
  EXPECT_EQ(id_of("hello\n").hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(ObjectHasher(Oid::k_sha256).of(Kind::blob, as_bytes("hello\n")).hex(),
            "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4");
  EXPECT_EQ(id_of("", Kind::tree).hex(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

std::string indexed(const std::string& pack, std::uint32_t most = 100) {
  MemorySource source(as_bytes(pack));
  const auto index = index_pack(source, {}, most);
  if (!index) return index.error().message;
  return std::to_string(PackIndex::open(*index, Oid::k_sha1)->count()) + " objects";
}

TEST(Indexer, TakesWholePacksOnly) {
  EXPECT_EQ(indexed(MadePack().pack()), "0 objects");
  MadePack made;
  const std::uint64_t base = made.object("a base");
  made.object("another");
  const std::string good = made.pack();
  EXPECT_EQ(indexed(good), "2 objects");
  std::string more = good;
  more.insert(more.size() - Oid::k_sha1, "behind the last object");
  EXPECT_THAT(indexed(more), HasSubstr("goes on behind its last object"));
  std::string fewer = good;
  fewer[11] = 3;
  EXPECT_THAT(indexed(fewer), HasSubstr("outside of the pack"));
  std::string huge = good;
  huge[8] = 0x7f;
  EXPECT_THAT(indexed(huge), HasSubstr("more than 100 objects"));
  EXPECT_THAT(indexed(huge, ~0u), HasSubstr("shorter than its number"));
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_THAT(indexed(good.substr(0, cut)), testing::Not(HasSubstr("2 objects"))) << cut;
  made.offset_delta(id_of("a"), base, delta_number(6) + delta_number(1) + copy_of(0, 1));
  EXPECT_EQ(indexed(made.pack()), "3 objects");
  made.id_delta(id_of("b"), id_of("not there"), delta_number(6) + delta_number(1) + copy_of(0, 1));
  EXPECT_THAT(indexed(made.pack()), HasSubstr("a thin pack"));
}

TEST(Indexer, RefusesDeltasIntoTheMiddleOfAnEntry) {
  MadePack made;
  const std::uint64_t base = made.object("a base");
  made.offset_delta(id_of("a"), base + 1, delta_number(6) + delta_number(1) + copy_of(0, 1));
  EXPECT_THAT(indexed(made.pack()), HasSubstr("a thin pack"));
}

} // namespace
} // namespace hubgate::git
