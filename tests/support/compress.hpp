#pragma once
// For tests: compresses bytes with the real libraries.
#include <bzlib.h>
#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace hubgate::test {

/// window_bits as for deflateInit2: -15 raw, 15 zlib, 31 gzip.
inline std::string deflated(std::string_view data, int window_bits, int level = 6) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string bzipped(std::string_view data) {
  auto size = static_cast<unsigned>(data.size() * 2 + 1000);
  std::string out(size, '\0');
  if (BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(data.data()),
                               static_cast<unsigned>(data.size()), 9, 0, 0) != BZ_OK)
    abort();
  out.resize(size);
  return out;
}

inline std::string lzma_coded(std::string_view data, lzma_stream& stream) {
  std::string out(data.size() * 2 + 4096, '\0');
  stream.next_in = reinterpret_cast<const std::uint8_t*>(data.data());
  stream.avail_in = data.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  if (lzma_code(&stream, LZMA_FINISH) != LZMA_STREAM_END) abort();
  out.resize(stream.total_out);
  lzma_end(&stream);
  return out;
}

inline std::string xz_packed(std::string_view data) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_easy_encoder(&stream, 1, LZMA_CHECK_CRC32) != LZMA_OK) abort();
  return lzma_coded(data, stream);
}

inline std::string lzma_alone_packed(std::string_view data) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_options_lzma options{};
  lzma_lzma_preset(&options, 1);
  if (lzma_alone_encoder(&stream, &options) != LZMA_OK) abort();
  return lzma_coded(data, stream);
}

inline std::string lz4_packed(std::string_view data) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  std::string out(LZ4F_compressFrameBound(data.size(), &preferences), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), data.data(), data.size(), &preferences));
  return out;
}

inline std::string lz4_legacy_packed(std::string_view data) {
  std::string block(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(data.size()))),
                    '\0');
  const int size = LZ4_compress_default(data.data(), block.data(), static_cast<int>(data.size()),
                                        static_cast<int>(block.size()));
  block.resize(static_cast<std::size_t>(size));
  std::string out("\x02\x21\x4c\x18", 4);
  for (int i = 0; i < 4; ++i)
    out += static_cast<char>(size >> (8 * i) & 255);
  return out + block;
}

inline std::string zstd_packed(std::string_view data, int level = 3) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), data.data(), data.size()));
  ZSTD_freeCCtx(context);
  return out;
}

} // namespace hubgate::test
