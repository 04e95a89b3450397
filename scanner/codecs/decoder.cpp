#include "scanner/codecs/decoder.hpp"

namespace hubgate {

void StreamDecoder::restart() {
  input_.rewind();
  state_ = State::more;
  between_frames_ = true;
  frames_ = 0;
  frame_end_ = 0;
  side_data_.clear();
  side_data_dropped_ = false;
}

void StreamDecoder::note_side_data(std::string_view name, std::uint64_t offset,
                                   std::uint64_t length) {
  if (length == 0) return;
  if (side_data_.size() >= k_side_data) {
    side_data_dropped_ = true;
    return;
  }
  side_data_.push_back({std::string(name), offset, length});
}

void StreamDecoder::start_frame() {
  if (frames_ > 0 && single_frame()) {
    state_ = State::end;
    return;
  }
  if (frames_ == 0 && frame_end_ == 0) frame_end_ = input_.begin();
  const std::uint64_t at = input_.position();
  switch (begin_frame()) {
  case Begin::frame:
    ++frames_;
    between_frames_ = false;
    return;
  case Begin::skip:
    ++frames_;
    frame_end_ = input_.position();
    // A skip that consumed nothing would never end; one beyond the end was cut.
    if (input_.position() == at) state_ = State::malformed;
    if (!input_.is_within()) state_ = State::truncated;
    return;
  case Begin::none:
    state_ = frames_ == 0 ? State::malformed : State::end;
    return;
  // A broken header after a good frame is no frame: its bytes are scanned as what they are.
  case Begin::malformed:
    state_ = frames_ == 0 ? State::malformed : State::end;
    return;
  case Begin::truncated:
    state_ = State::truncated;
    return;
  case Begin::unsupported:
    state_ = State::unsupported;
    return;
  case Begin::budget:
    state_ = State::budget;
    return;
  }
}

std::size_t StreamDecoder::produce(std::span<std::uint8_t> out) {
  std::size_t made = 0;
  while (state_ == State::more && made < out.size()) {
    if (between_frames_) {
      start_frame();
      continue;
    }
    const Bytes in = input_.some();
    const bool at_end = in.empty();
    const Step did = step(in, out.subspan(made));
    input_.consume(did.used);
    made += did.made;
    const Progress progress = did.progress == Progress::frame_end ? end_frame() : did.progress;
    switch (progress) {
    case Progress::more:
      if (did.used == 0 && did.made == 0) state_ = at_end ? State::truncated : State::malformed;
      break;
    case Progress::frame_end:
      between_frames_ = true;
      frame_end_ = input_.position();
      break;
    case Progress::truncated:
      state_ = State::truncated;
      break;
    case Progress::malformed:
      state_ = State::malformed;
      break;
    case Progress::unsupported:
      state_ = State::unsupported;
      break;
    case Progress::budget:
      state_ = State::budget;
      break;
    }
  }
  return made;
}

} // namespace hubgate
