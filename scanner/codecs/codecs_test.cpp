#include "scanner/codecs/compressed.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/known_content.hpp"

#include <gtest/gtest.h>

namespace hubgate {

extern const Format format_gzip;
extern const Format format_bzip2;
extern const Format format_xz;
extern const Format format_lzma;
extern const Format format_lz4;
extern const Format format_zstd;
extern const Format format_zlib;

namespace {

using namespace test;

struct Codec {
  std::string name;
  std::string (*pack)(std::string_view);
  DecoderPtr (*decode)(Source&, std::uint64_t, std::uint64_t);
  const Format* format;
  bool many_frames;
};

std::string gzipped(std::string_view data) {
  return deflated(data, 31);
}
std::string zlibbed(std::string_view data) {
  return deflated(data, 15);
}
std::string zstd_default(std::string_view data) {
  return zstd_packed(data);
}

const std::vector<Codec>& codecs() {
  static const std::vector<Codec> table{
      {"gzip", gzipped, decode_gzip, &format_gzip, true},
      {"zlib", zlibbed, decode_zlib, &format_zlib, false},
      {"bzip2", bzipped, decode_bzip2, &format_bzip2, true},
      {"xz", xz_packed, decode_xz, &format_xz, true},
      {"lzma", lzma_alone_packed, decode_lzma_alone, &format_lzma, false},
      {"lz4", lz4_packed, decode_lz4, &format_lz4, true},
      {"lz4 legacy", lz4_legacy_packed, decode_lz4, &format_lz4, true},
      {"zstd", zstd_default, decode_zstd, &format_zstd, true},
  };
  return table;
}

// Text that compresses somewhat, with some noise that does not.
std::string sample(std::size_t n) {
  std::string out = "known: content";
  std::uint32_t state = 7;
  while (out.size() < n) {
    state = state * 1664525 + 1013904223;
    out +=
        out.size() % 64 < 32 ? static_cast<char>('a' + state % 3) : static_cast<char>(state >> 24);
  }
  out.resize(n);
  return out;
}

std::string decoded(const Codec& codec, std::string_view packed, std::size_t step,
                    Decoder::State& state, std::uint64_t& position) {
  MemorySource source(as_bytes(packed));
  const DecoderPtr decoder = codec.decode(source, 0, k_to_the_end);
  std::string out;
  std::vector<std::uint8_t> buffer(step);
  while (decoder->state() == Decoder::State::more) {
    const std::size_t made = decoder->produce(buffer);
    out.append(reinterpret_cast<const char*>(buffer.data()), made);
    if (out.size() > 50'000'000) break;
  }
  state = decoder->state();
  position = decoder->position();
  return out;
}

TEST(Codecs, DecodeWhatTheLibrariesPack) {
  for (const Codec& codec: codecs())
    for (const std::size_t size: {14u, 1000u, 300'000u}) {
      const std::string data = sample(size);
      const std::string packed = codec.pack(data);
      for (const std::size_t step: {std::size_t{1} << 20, std::size_t{997}}) {
        Decoder::State state{};
        std::uint64_t position = 0;
        EXPECT_TRUE(decoded(codec, packed + "tail", step, state, position) == data) << codec.name;
        EXPECT_EQ(state, Decoder::State::end) << codec.name;
        EXPECT_EQ(position, packed.size()) << codec.name;
      }
    }
}

TEST(Codecs, BrotliIsOneStreamThatEndsWhereItSays) {
  using namespace std::string_literals;
  const std::string packed = "\x1b\x7f\x00\xf8\x1d\x09\x36\x4e\x74\x6f\x24\x86\xd7\x62\x65\x68\x72"
                             "\x1a\x84\x85\x8d\x6e\xb2\xa5"
                             "\xbd\x95\x3c\xb8\xd5\x01\x2f\x70\xce\xac\xc3\x5f\x02"s;
  std::string wanted;
  for (int i = 0; i < 4; ++i)
    wanted += "hello hello hello hello, brotli ";
  const Codec brotli{"brotli", nullptr, decode_brotli, nullptr, false};
  Decoder::State state{};
  std::uint64_t position = 0;
  for (const std::size_t step: {std::size_t{1} << 20, std::size_t{7}}) {
    EXPECT_EQ(decoded(brotli, packed + "tail", step, state, position), wanted);
    EXPECT_EQ(state, Decoder::State::end);
    EXPECT_EQ(position, packed.size());
  }
  for (std::size_t n = 1; n < packed.size(); ++n) {
    decoded(brotli, packed.substr(0, n), 64, state, position);
    EXPECT_EQ(state, Decoder::State::truncated) << n;
  }
  decoded(brotli, "\xff\xff\xff\xff\xff", 64, state, position);
  EXPECT_EQ(state, Decoder::State::malformed);
}

TEST(Codecs, GoFromFrameToFrame) {
  for (const Codec& codec: codecs()) {
    Decoder::State state{};
    std::uint64_t position = 0;
    const std::string first = codec.pack(sample(500));
    const std::string both = first + codec.pack("second");
    const std::string wanted = sample(500) + (codec.many_frames ? "second" : "");
    EXPECT_TRUE(decoded(codec, both, 4096, state, position) == wanted) << codec.name;
    EXPECT_EQ(state, Decoder::State::end) << codec.name;
    EXPECT_EQ(position, codec.many_frames ? both.size() : first.size()) << codec.name;
  }
}

TEST(Codecs, GiveThePrefixOfACutStreamAndSayThatItIsCut) {
  for (const Codec& codec: codecs()) {
    const std::string data = sample(3000);
    const std::string packed = codec.pack(data);
    for (std::size_t cut = 0; cut < packed.size(); ++cut) {
      Decoder::State state{};
      std::uint64_t position = 0;
      const std::string out = decoded(codec, packed.substr(0, cut), 512, state, position);
      EXPECT_TRUE(data.starts_with(out)) << codec.name << " cut at " << cut;
      // A legacy LZ4 frame has no end mark: it may end behind its magic.
      if (codec.name == "lz4 legacy" && cut >= 4 && cut < 8) continue;
      EXPECT_NE(state, Decoder::State::end) << codec.name << " cut at " << cut;
    }
  }
}

TEST(Codecs, StartAgainFromTheFirstByte) {
  for (const Codec& codec: codecs()) {
    const std::string data = sample(100'000);
    const std::string packed = codec.pack(data);
    MemorySource source(as_bytes(packed));
    Limits limits;
    limits.decode_window = 4096;
    Budget budget(limits);
    DecodedSource content(codec.decode(source, 0, k_to_the_end), budget);
    EXPECT_EQ(content.wait_end(), data.size()) << codec.name;
    EXPECT_EQ(as_text(content.view(0, 20)), data.substr(0, 20)) << codec.name;
    EXPECT_EQ(as_text(content.view(data.size() - 5, 20)), data.substr(data.size() - 5));
    EXPECT_EQ(content.fault(), Fault::none) << codec.name;
  }
}

TEST(Codecs, FlippedBitsNeverEndWellWithOtherContent) {
  for (const Codec& codec: codecs()) {
    // Two have no checksum, and Adler-32 is too weak for a test.
    if (codec.name == "lzma" || codec.name == "lz4 legacy" || codec.name == "zlib") continue;
    const std::string data = sample(2000);
    const std::string packed = codec.pack(data);
    for (std::size_t at = 0; at < packed.size(); ++at) {
      std::string broken = packed;
      broken[at] = static_cast<char>(broken[at] ^ 0x10);
      MemorySource source(as_bytes(broken));
      const DecoderPtr decoder = codec.decode(source, 0, k_to_the_end);
      std::vector<std::uint8_t> out(1 << 20);
      const std::size_t made = decoder->produce(out);
      const std::string got(reinterpret_cast<const char*>(out.data()), made);
      if (decoder->state() == Decoder::State::end && !decoder->checksum_failed()) {
        EXPECT_TRUE(got == data) << codec.name << " at " << at;
      }
    }
  }
}

TEST(CompressedFormats, AreCleanWhenTheContentIs) {
  for (const Codec& codec: codecs()) {
    const Report report = scan_with({codec.format}, codec.pack(sample(5000)));
    EXPECT_TRUE(is_clean(report)) << codec.name << show(report);
    EXPECT_EQ(report.format, codec.format->name);
  }
}

TEST(CompressedFormats, ScanTheContent) {
  for (const Codec& codec: codecs()) {
    const Report report = scan_with({codec.format}, codec.pack(sample(5000) + "evil"));
    const Finding* found = find_rule(report, "known-evil");
    ASSERT_NE(found, nullptr) << codec.name;
    EXPECT_EQ(found->where, "content");
    EXPECT_EQ(found->offset, 5000u);
  }
}

TEST(CompressedFormats, ScanWhatCameBeforeACut) {
  for (const Codec& codec: codecs()) {
    if (codec.name == "bzip2" || codec.name == "lz4 legacy" || codec.name == "lz4")
      continue; // one block: nothing comes out before its end
    const std::string packed = codec.pack("known: evil" + sample(400'000));
    const Report report = scan_with({codec.format}, packed.substr(0, packed.size() - 1000));
    EXPECT_NE(find_rule(report, "known-evil"), nullptr) << codec.name << show(report);
    EXPECT_TRUE(has_gap(report, Reason::truncated)) << codec.name << show(report);
  }
}

TEST(CompressedFormats, AreNeverCleanWhenCut) {
  for (const Codec& codec: codecs()) {
    const std::string packed = codec.pack(sample(2000));
    for (std::size_t cut = 1; cut < packed.size(); ++cut) {
      const Report report = scan_with({codec.format}, packed.substr(0, cut));
      if (codec.name == "lz4 legacy" && cut >= 4 && cut < 8) continue;
      EXPECT_FALSE(is_clean(report)) << codec.name << " cut at " << cut << show(report);
    }
  }
}

TEST(CompressedFormats, ASkippableFrameBeyondTheEndIsCut) {
  const std::string skippable("\x50\x2a\x4d\x18\xff\0\0\0hi", 10);
  for (const Codec& codec: codecs()) {
    if (codec.name != "zstd" && codec.name != "lz4") continue;
    const Report report = scan_with({codec.format}, codec.pack("known: text") + skippable);
    EXPECT_TRUE(has_gap(report, Reason::truncated)) << codec.name << show(report);
  }
}

TEST(CompressedFormats, ScanTheFieldsOfAGzipHeader) {
  const std::string hidden = "known: evil in a field";
  const std::string subfield =
      "AB" + std::string(1, static_cast<char>(hidden.size())) + std::string(1, '\0') + hidden;
  const std::string plain = gzipped("known: text");
  const std::string head = plain.substr(0, 3) + '\x04' + plain.substr(4, 6) +
                           static_cast<char>(subfield.size()) + std::string(1, '\0') + subfield;
  const Report report = scan_with({&format_gzip}, head + plain.substr(10));
  const Finding* found = find_rule(report, "known-evil");
  ASSERT_NE(found, nullptr) << show(report);
  EXPECT_EQ(found->where, "FEXTRA");
}

TEST(CompressedFormats, ScanWhatFollowsTheStream) {
  for (const Codec& codec: codecs()) {
    const Report report = scan_with({codec.format}, codec.pack(sample(100)) + "known: evil");
    EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << codec.name << show(report);
    EXPECT_NE(find_rule(report, "known-evil"), nullptr) << codec.name << show(report);
  }
}

TEST(CompressedFormats, SpendTheBudgetAndNoMore) {
  const std::string zeros(8 << 20, '\0');
  for (const Codec& codec: codecs()) {
    Limits limits;
    limits.decoded_bytes = 1 << 20;
    const Report report = scan_with({codec.format}, codec.pack(zeros), limits);
    EXPECT_TRUE(has_gap(report, Reason::budget)) << codec.name << show(report);
    EXPECT_NE(find_rule(report, "decompression-bomb"), nullptr) << codec.name << show(report);
  }
}

TEST(Codecs, AKnownBombIsNotUnpackedFurther) {
  Limits limits;
  limits.decoded_bytes = 1000;
  Budget budget(limits);
  EXPECT_FALSE(budget.decoded(1001));
  const std::string packed = gzipped(sample(500));
  MemorySource source(as_bytes(packed));
  DecodedSource content(decode_gzip(source, 0), budget);
  EXPECT_TRUE(content.view(0, 10).empty());
  EXPECT_EQ(content.fault(), Fault::budget);
  EXPECT_EQ(budget.decoded_bytes(), 1001u);
}

TEST(CompressedFormats, NestToTheDepthLimitAndNoFurther) {
  std::string packed = "known: evil";
  for (int i = 0; i < 12; ++i)
    packed = gzipped(packed);
  EXPECT_NE(find_rule(scan_with({&format_gzip}, packed), "known-evil"), nullptr);
  const Report report = scan_with({&format_gzip}, gzipped(packed));
  EXPECT_EQ(find_rule(report, "known-evil"), nullptr);
  EXPECT_TRUE(has_gap(report, Reason::budget)) << show(report);
}

} // namespace
} // namespace hubgate
