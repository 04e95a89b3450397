#include "proxy/cas/chunk_lists.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <unistd.h>

namespace hubgate::proxy {
namespace {

namespace fs = std::filesystem;

class ChunkListsFolder : public testing::Test {
protected:
  ~ChunkListsFolder() override { fs::remove_all(folder_); }
  static std::vector<xet::Chunk> example(std::uint8_t seed) {
    std::vector<xet::Chunk> out(20);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i].hash.bytes.fill(static_cast<std::uint8_t>(seed + i));
      out[i].size = 1000 + i;
    }
    return out;
  }
  fs::path folder_ = fs::temp_directory_path() / ("chunk_lists_test." + std::to_string(::getpid()));
};

TEST_F(ChunkListsFolder, GivesBackWhatWasSaved) {
  const ChunkLists lists(folder_);
  const auto chunks = example(1);
  const xet::Hash file = xet::file_id(chunks);
  const Sha256 of = sha256(as_bytes("one"));
  EXPECT_EQ(lists.load(of, file), nullptr);
  ASSERT_TRUE(lists.save(of, file, KnownChunks(chunks)));
  const auto back = lists.load(of, file);
  ASSERT_NE(back, nullptr);
  ASSERT_EQ(back->size(), chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    EXPECT_EQ(back->hash_of(i), chunks[i].hash);
    EXPECT_EQ(back->bytes_of(i), chunks[i].size);
  }
  EXPECT_EQ(lists.load(sha256(as_bytes("two")), file), nullptr);
}

TEST_F(ChunkListsFolder, ThrowsAwayWhatWasDamaged) {
  const ChunkLists lists(folder_);
  const auto chunks = example(1);
  const xet::Hash file = xet::file_id(chunks);
  const Sha256 of = sha256(as_bytes("one"));
  for (const std::size_t at: {std::size_t{3}, std::size_t{60}, std::size_t{200}}) {
    ASSERT_TRUE(lists.save(of, file, KnownChunks(chunks)));
    const fs::path path = fs::directory_iterator(folder_)->path();
    {
      std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
      out.seekp(static_cast<std::streamoff>(at));
      out.put('?');
    }
    EXPECT_EQ(lists.load(of, file), nullptr);
    EXPECT_FALSE(fs::exists(path));
  }
  ASSERT_TRUE(lists.save(of, file, KnownChunks(chunks)));
  fs::resize_file(fs::directory_iterator(folder_)->path(), 100);
  EXPECT_EQ(lists.load(of, file), nullptr);
}

TEST_F(ChunkListsFolder, OldOnesMakeRoom) {
  const ChunkLists lists(folder_, 2000); // each has 17 + 64 + 8 + 20 * 36 + 32 = 841
  for (std::uint8_t seed = 1; seed <= 3; ++seed) {
    const auto chunks = example(seed);
    const xet::Hash file = xet::file_id(chunks);
    const Sha256 of = sha256(Bytes(&seed, 1));
    ASSERT_TRUE(lists.save(of, file, KnownChunks(chunks)));
    for (const auto& entry: fs::directory_iterator(folder_))
      fs::last_write_time(entry.path(), entry.last_write_time() - std::chrono::hours(1));
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
  const std::uint8_t first = 1;
  EXPECT_EQ(lists.load(sha256(Bytes(&first, 1)), xet::file_id(example(1))), nullptr);
}

} // namespace
} // namespace hubgate::proxy
