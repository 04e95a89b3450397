#include "scanner/codecs/codecs.hpp"

#include <bzlib.h>

#include <algorithm>

namespace hubgate {
namespace {

class Bzip2Decoder final : public StreamDecoder {
public:
  using StreamDecoder::StreamDecoder;
  ~Bzip2Decoder() override { close(); }
  Bzip2Decoder(const Bzip2Decoder&) = delete;
  Bzip2Decoder& operator=(const Bzip2Decoder&) = delete;

protected:
  Begin begin_frame() override {
    const Bytes head = input().peek(4);
    if (!starts_with(head, "BZh") || head.size() < 4 || head[3] < '1' || head[3] > '9')
      return Begin::none;
    close();
    open_ = BZ2_bzDecompressInit(&stream_, /*verbosity=*/0, /*small=*/0) == BZ_OK;
    return open_ ? Begin::frame : Begin::budget;
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    // The interface takes char* and is not const-correct; it does not write to its input.
    stream_.next_in = const_cast<char*>(reinterpret_cast<const char*>(in.data()));
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = static_cast<unsigned>(std::min<std::size_t>(out.size(), 1u << 30));
    const std::size_t room = stream_.avail_out;
    const int code = BZ2_bzDecompress(&stream_);
    Step did{.used = in.size() - stream_.avail_in, .made = room - stream_.avail_out};
    if (code == BZ_STREAM_END)
      did.progress = Progress::frame_end;
    else if (code == BZ_MEM_ERROR)
      did.progress = Progress::budget;
    else if (code != BZ_OK)
      did.progress = Progress::malformed;
    return did;
  }

private:
  void close() {
    if (open_) BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    open_ = false;
  }

  bz_stream stream_{};
  bool open_ = false;
};

} // namespace

DecoderPtr decode_bzip2(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<Bzip2Decoder>(source, begin, end);
}

} // namespace hubgate
