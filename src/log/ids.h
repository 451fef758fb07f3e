/* SPDX-License-Identifier: MIT */
/*
 * The MESSAGE_ID= of each kind of entry, also for novnc-gatectl, which reads them. A new one is from
 * `systemd-id128 new`; one that was published keeps its meaning.
 */
#pragma once

#define LOG_ID_HANDLING     "72d0afd52f154dfeb3a0b56188c70f13"
#define LOG_ID_PROXYING     "f6f9792c04fb43ac86cbf1932436eb7b"
#define LOG_ID_CLOSED       "930ee7b5ab8f48f2b1fb9892c90e56b8"
#define LOG_ID_REFUSED_PATH "9dd68c76318b4b9b83f916c91559c17c"
#define LOG_ID_ORIGIN       "207d5b6cb83f4258a744161287c60e3e"
#define LOG_ID_DENIED       "cedf267f466b41c1bf9bfbc775bbbd76"
#define LOG_ID_TLS          "762047d94182474d8ff0aabe5a53e569"
#define LOG_ID_NO_HEADER    "0817c2f0710e49d1b95da35f65c319d6"
#define LOG_ID_UNVERIFIED   "d05a0fe7789d4c0caf98d9b83879bee8"
#define LOG_ID_REFUSED      "172f8e3d92354f67b33d181747e5601f"
#define LOG_ID_WS_ERROR     "3f3a3d11331348c7ae8f7499bb3e7f7e"
#define LOG_ID_UNDECIDED    "1623bc7d2dae4f5abeeae007e38d09d4"
#define LOG_ID_BACKEND      "6a41f540a2854f87b431e3a36b6c8097"
#define LOG_ID_PAGE         "7410a07c4af74bc28cd51187a8a50141"
#define LOG_ID_DROPPED      "17490223442a41cfa3107dcbec4db009"
#define LOG_ID_SANDBOX      "badb50fc926342aa8d8359f82f324943"
#define LOG_ID_CONFIG       "e4230f61c2d94f63ab11f3179af458cb"
#define LOG_ID_FAULT        "338945922f3743d38e9eb3f55f014def"
