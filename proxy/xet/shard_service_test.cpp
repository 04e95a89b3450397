#include "proxy/xet/shard_service.hpp"
#include "proxy/xet/vectors.hpp"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

namespace hubgate::xet {
namespace {

using testing::HasSubstr;

std::string served(const std::string& body) {
  const int in = memfd_create("shard", 0);
  const int out = memfd_create("answer", 0);
  EXPECT_EQ(write(in, body.data(), body.size()), static_cast<ssize_t>(body.size()));
  lseek(in, 0, SEEK_SET);
  serve_shard_reading(in, out);
  std::string answer(static_cast<std::size_t>(lseek(out, 0, SEEK_CUR)), '\0');
  EXPECT_EQ(pread(out, answer.data(), answer.size(), 0), static_cast<ssize_t>(answer.size()));
  close(in);
  close(out);
  return answer;
}

TEST(ShardService, SaysWhatAShardClaims) {
  const auto claims = read_claims(as_bytes(served(vectors::file("rnd_1m_edit.upload.shard"))));
  ASSERT_TRUE(claims) << claims.error().message;
  const auto shard = read_shard(as_bytes(vectors::file("rnd_1m_edit.upload.shard")));
  ASSERT_EQ(claims->files.size(), 1u);
  EXPECT_EQ(claims->files[0].id, shard->files[0].id);
  EXPECT_EQ(claims->files[0].sha256, shard->files[0].sha256);
  ASSERT_EQ(claims->files[0].terms.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(claims->files[0].terms[i].xorb, shard->files[0].terms[i].xorb);
    EXPECT_EQ(claims->files[0].terms[i].bytes, shard->files[0].terms[i].bytes);
    EXPECT_EQ(claims->files[0].terms[i].chunks, shard->files[0].terms[i].chunks);
  }
  ASSERT_EQ(claims->xorbs.size(), 1u);
  EXPECT_EQ(claims->xorbs[0], shard->xorbs[0].hash);
}

TEST(ShardService, SaysWhyOneCannotBeRead) {
  const auto claims = read_claims(as_bytes(served("something else")));
  ASSERT_FALSE(claims);
  EXPECT_THAT(claims.error().message, HasSubstr("not a shard"));
}

TEST(ShardService, AnAnswerThatIsNoneIsRefused) {
  const std::string answer = served(vectors::file("f32_1m3.upload.shard"));
  for (std::size_t n = 0; n < answer.size(); ++n)
    EXPECT_FALSE(read_claims(as_bytes(answer.substr(0, n)))) << n;
  EXPECT_FALSE(read_claims(as_bytes(answer + "x")));
  std::string many = answer;
  many[7] = '\x7f'; // 2^31 files
  EXPECT_FALSE(read_claims(as_bytes(many)));
  many = answer;
  many[8 + 32 + 4 + 32 + 3] = '\x7f'; // 2^31 terms
  EXPECT_FALSE(read_claims(as_bytes(many)));
}

} // namespace
} // namespace hubgate::xet
