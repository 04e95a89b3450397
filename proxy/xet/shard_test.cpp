#include "proxy/xet/shard.hpp"
#include "proxy/xet/vectors.hpp"
#include "proxy/xet/xorb.hpp"

#include <gmock/gmock.h>

namespace hubgate::xet {
namespace {

using testing::HasSubstr;

Result<Shard> read(std::string_view body) {
  return read_shard(as_bytes(body));
}

std::string error_of(std::string_view body) {
  const auto out = read(body);
  return out ? "" : out.error().message;
}

std::string sha256_text(const std::string& input) {
  return hex(sha256(as_bytes(vectors::input(input))));
}

TEST(Shard, ReadsAFirstUpload) {
  const auto shard = read(vectors::file("f32_1m3.upload.shard"));
  ASSERT_TRUE(shard) << shard.error().message;
  ASSERT_EQ(shard->files.size(), 1u);
  ASSERT_EQ(shard->xorbs.size(), 1u);
  const auto& file = shard->files[0];
  const auto& xorb = shard->xorbs[0];
  EXPECT_EQ(file_id(xorb.chunks), file.id);
  EXPECT_EQ(xorb_hash(xorb.chunks), xorb.hash);
  ASSERT_EQ(file.terms.size(), 1u);
  EXPECT_EQ(file.terms[0].xorb, xorb.hash);
  EXPECT_EQ(file.terms[0].bytes, vectors::input("f32_1m3").size());
  EXPECT_EQ(file.terms[0].chunks, (ChunkRange{0, 18}));
  EXPECT_EQ(file.terms[0].range_hash, range_hash(xorb.chunks));
  ASSERT_TRUE(file.sha256);
  EXPECT_EQ(hex(*file.sha256), sha256_text("f32_1m3"));
}

TEST(Shard, ReadsAnUploadThatNamesAnOlderXorb) {
  const auto shard = read(vectors::file("rnd_1m_edit.upload.shard"));
  ASSERT_TRUE(shard);
  ASSERT_EQ(shard->files.size(), 1u);
  EXPECT_EQ(shard->files[0].terms.size(), 3u);
  EXPECT_EQ(shard->xorbs.size(), 1u);
  EXPECT_EQ(hex(*shard->files[0].sha256), sha256_text("rnd_1m_edit"));
  EXPECT_NE(shard->files[0].terms[0].xorb, shard->xorbs[0].hash);
}

TEST(Shard, ReadsAnUploadWithoutBytesAndAnAnswerWithAFooter) {
  const auto again = read(vectors::file("rnd_1m.reupload_no_xorbs.shard"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->files.size(), 1u);
  EXPECT_TRUE(again->xorbs.empty());
  const auto answer = read(vectors::file("rnd_1m.global_dedup_response.shard"));
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->xorbs.size(), 1u);
  EXPECT_EQ(xorb_hash(answer->xorbs[0].chunks), answer->xorbs[0].hash);
}

TEST(Shard, WhatIsWrittenIsWhatClientsSend) {
  for (const std::string name:
       {"f32_1m3.upload.shard", "rnd_1m_edit.upload.shard", "rnd_1m.reupload_no_xorbs.shard"}) {
    const std::string body = vectors::file(name);
    const auto shard = read(body);
    ASSERT_TRUE(shard);
    EXPECT_EQ(write_shard(*shard).size(), body.size());
    const auto again = read(write_shard(*shard));
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->files.size(), shard->files.size());
    for (std::size_t i = 0; i < shard->files.size(); ++i) {
      EXPECT_EQ(again->files[i].id, shard->files[i].id);
      EXPECT_EQ(again->files[i].sha256, shard->files[i].sha256);
      ASSERT_EQ(again->files[i].terms.size(), shard->files[i].terms.size());
      for (std::size_t k = 0; k < shard->files[i].terms.size(); ++k) {
        EXPECT_EQ(again->files[i].terms[k].chunks, shard->files[i].terms[k].chunks);
        EXPECT_EQ(again->files[i].terms[k].range_hash, shard->files[i].terms[k].range_hash);
      }
    }
    ASSERT_EQ(again->xorbs.size(), shard->xorbs.size());
    for (std::size_t i = 0; i < shard->xorbs.size(); ++i)
      EXPECT_EQ(again->xorbs[i].chunks, shard->xorbs[i].chunks);
  }
}

TEST(Shard, OneCutShortOrLengthenedIsRefused) {
  for (const std::string name: {"f32_1m3.upload.shard", "rnd_1m.global_dedup_response.shard"}) {
    const std::string body = vectors::file(name);
    const std::size_t footer = body[40] == 0 ? 0 : 200; // which may be missing as a whole
    for (std::size_t n = 0; n < body.size(); ++n)
      EXPECT_EQ(read(body.substr(0, n)).ok(), n + footer == body.size()) << n;
    EXPECT_THAT(error_of(body + "x"), HasSubstr("behind"));
  }
}

TEST(Shard, AnAnnouncedFooterMayBeMissing) {
  std::string body = vectors::file("f32_1m3.upload.shard");
  const auto plain = read(body);
  body[40] = static_cast<char>(200);
  const auto shard = read(body); // as hf_xet 1.2 sends it
  ASSERT_TRUE(shard) << shard.error().message;
  EXPECT_EQ(write_shard(*shard), write_shard(*plain));
  EXPECT_TRUE(read(body + std::string(200, 'f')));
  for (const std::size_t n: {1, 199, 201, 400})
    EXPECT_THAT(error_of(body + std::string(n, 'f')), HasSubstr("behind")) << n;
}

// Where a field begins in the upload of one file: tag and two numbers, then records of 48 bytes.
constexpr std::size_t k_file = 48;
constexpr std::size_t k_term = 96;
constexpr std::size_t k_xorb = 5 * 48 + 48;

std::string with(std::size_t at, std::uint8_t value) {
  std::string body = vectors::file("f32_1m3.upload.shard");
  body[at] = static_cast<char>(value);
  return body;
}

TEST(Shard, NumbersThatCannotBeAreRefused) {
  EXPECT_THAT(error_of(with(0, 'x')), HasSubstr("not a shard"));
  EXPECT_THAT(error_of(with(32, 3)), HasSubstr("version 3"));
  EXPECT_THAT(error_of(with(40, 1)), HasSubstr("unknown footer"));
  EXPECT_THAT(error_of(with(k_file + 32, 1)), HasSubstr("unknown flags"));
  EXPECT_THAT(error_of(with(k_file + 39, 0xff)), HasSubstr("inside a record")); // 2^32 terms
  EXPECT_THAT(error_of(with(k_term + 32, 1)), HasSubstr("unknown flags"));
  EXPECT_THAT(error_of(with(k_term + 39, 0xff)), HasSubstr("longer than"));
  EXPECT_THAT(error_of(with(k_term + 40, 18)), HasSubstr("no chunks"));
  EXPECT_THAT(error_of(with(k_term + 47, 1)), HasSubstr("no chunks"));
  EXPECT_THAT(error_of(with(k_xorb + 32, 1)), HasSubstr("unknown flags"));
  EXPECT_THAT(error_of(with(k_xorb + 38, 1)), HasSubstr("8192 chunks"));
  EXPECT_THAT(error_of(with(k_xorb + 40, 1)), HasSubstr("not as long"));
  EXPECT_THAT(error_of(with(k_xorb + 48 + 32, 1)), HasSubstr("do not follow"));
  EXPECT_THAT(error_of(with(k_xorb + 48 + 39, 1)), HasSubstr("do not follow"));
  EXPECT_THAT(error_of(with(k_xorb + 48 + 40, 1)), HasSubstr("unknown flags"));
}

TEST(Shard, ItsOwnLimitIsItsSize) {
  std::string body = vectors::file("f32_1m3.upload.shard");
  body.resize(k_shard_most + 1);
  EXPECT_THAT(error_of(body), HasSubstr("64 MiB"));
}

} // namespace
} // namespace hubgate::xet
