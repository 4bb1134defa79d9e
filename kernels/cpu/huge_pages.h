// Large fresh memory, made cheaper to touch for the first time.
#pragma once

#include <cstddef>

namespace mlx_convt::cpu {

// Advises the system to back a large block, about to be written from end to
// end, with huge pages. Contents and ownership stay as they are; does nothing
// where the system knows no such advice.
void advise_huge_pages(void* data, std::size_t bytes);

} // namespace mlx_convt::cpu
