/*
 * Statements over the digest of "plan", signed by ssh-keygen -Y sign with keys
 * that were made for this and thrown away.
 */
#pragma once

#define KEY_ALICE                                                              \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKdR8CVszB1LWReZbSEM9TEw"         \
	"zl97HjfkC+8pV6/THSzD"

#define KEY_BOB                                                                \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGP08KJACggtB/kYirBuOg/k"         \
	"aT4cEOJw4QiPMNOyZNc7"

#define KEY_MALLORY                                                            \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJncQS9SuHFmzGOw7xTMzgBv"         \
	"jQ1HTmN60b0NW8R/sT8E"

static const char statement_alice[] =
	"{\"at\":\"2026-01-01T00:00:00.000Z\",\"authority\":\"authori"
	"ty.example/writ\",\"decision\":\"approve\",\"digest\":\"sha2"
	"56:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a"
	"9e3b525\",\"group\":\"owners\",\"human\":\"alice\",\"nonce\""
	":\"00112233445566778899aabbccddeeff\",\"reason\":\"r\",\"req"
	"uest\":\"req_1\",\"type\":\"approval/v1\"}";

static const char signature_alice[] =
	"-----BEGIN SSH SIGNATURE-----\n"
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgp1HwJWzMHUtZF5lt"
	"IQz1MTDOX3\n"
	"seN+QL7ylXr9MdLMMAAAANd3JpdC1hcHByb3ZhbAAAAAAAAAAGc2hhNTEyAA"
	"AAUwAAAAtz\n"
	"c2gtZWQyNTUxOQAAAEAyHkDvB5dfAjOscbe0ipWmQp7Qup3uz2sCiqeH5D62"
	"LI79hGlolG\n"
	"XWYM+R4Oz8QX52RCBk9GD0B2H7D+61tzED\n"
	"-----END SSH SIGNATURE-----\n";

static const char statement_bob[] =
	"{\"at\":\"2026-01-01T00:00:00.000Z\",\"authority\":\"authori"
	"ty.example/writ\",\"decision\":\"approve\",\"digest\":\"sha2"
	"56:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a"
	"9e3b525\",\"group\":\"owners\",\"human\":\"bob\",\"nonce\":"
	"\"00112233445566778899aabbccddeeff\",\"reason\":\"r\",\"requ"
	"est\":\"req_1\",\"type\":\"approval/v1\"}";

static const char signature_bob[] =
	"-----BEGIN SSH SIGNATURE-----\n"
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgY/TwokAKCC0H+RiK"
	"sG46D+RpPh\n"
	"wQ4nDhCI8w07Jk1zsAAAANd3JpdC1hcHByb3ZhbAAAAAAAAAAGc2hhNTEyAA"
	"AAUwAAAAtz\n"
	"c2gtZWQyNTUxOQAAAEDpsncQPj9H3mooGawQuikoP/6ZOPCmUnCZAxwphvWv"
	"c0a71X2vf1\n"
	"7N9DR7rgLPT2Mfk5BJATKR8Z1Ww0EBFC4C\n"
	"-----END SSH SIGNATURE-----\n";

static const char statement_deny[] =
	"{\"at\":\"2026-01-01T00:00:00.000Z\",\"authority\":\"authori"
	"ty.example/writ\",\"decision\":\"deny\",\"digest\":\"sha256:"
	"64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3"
	"b525\",\"group\":\"owners\",\"human\":\"alice\",\"nonce\":\""
	"00112233445566778899aabbccddeeff\",\"reason\":\"r\",\"reques"
	"t\":\"req_1\",\"type\":\"approval/v1\"}";

static const char signature_deny[] =
	"-----BEGIN SSH SIGNATURE-----\n"
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgp1HwJWzMHUtZF5lt"
	"IQz1MTDOX3\n"
	"seN+QL7ylXr9MdLMMAAAANd3JpdC1hcHByb3ZhbAAAAAAAAAAGc2hhNTEyAA"
	"AAUwAAAAtz\n"
	"c2gtZWQyNTUxOQAAAEBsCLlYVcRApsY+FoKqbTwGZ4BJWmIjsI/uI14eFJyP"
	"n+S+e1LuqH\n"
	"UKjvo8ZifLePzqCwc+g539csT2DihpDVoO\n"
	"-----END SSH SIGNATURE-----\n";

static const char statement_login[] =
	"{\"at\":\"2026-01-01T00:00:00.000Z\",\"authority\":\"authori"
	"ty.example/writ\",\"decision\":\"approve\",\"digest\":\"sha2"
	"56:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a"
	"9e3b525\",\"group\":\"owners\",\"human\":\"alice\",\"nonce\""
	":\"00112233445566778899aabbccddeeff\",\"reason\":\"r\",\"req"
	"uest\":\"req_1\",\"type\":\"approval/v1\"}";

static const char signature_login[] =
	"-----BEGIN SSH SIGNATURE-----\n"
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgp1HwJWzMHUtZF5lt"
	"IQz1MTDOX3\n"
	"seN+QL7ylXr9MdLMMAAAAKd3JpdC1sb2dpbgAAAAAAAAAGc2hhNTEyAAAAUw"
	"AAAAtzc2gt\n"
	"ZWQyNTUxOQAAAEBRUBw6b7nIjx+0sJFwVMw1sTLe60sU2hmRiNUlkwkET4Z4"
	"zD4kvHBReK\n"
	"xIu01VoNuZs7VhtJV2fNzoo7eB4W0A\n"
	"-----END SSH SIGNATURE-----\n";

static const char statement_foreign[] =
	"{\"at\":\"2026-01-01T00:00:00.000Z\",\"authority\":\"authori"
	"ty.example/writ\",\"decision\":\"approve\",\"digest\":\"sha2"
	"56:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a"
	"9e3b525\",\"group\":\"owners\",\"human\":\"alice\",\"nonce\""
	":\"00112233445566778899aabbccddeeff\",\"reason\":\"r\",\"req"
	"uest\":\"req_1\",\"type\":\"approval/v1\"}";

static const char signature_foreign[] =
	"-----BEGIN SSH SIGNATURE-----\n"
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgmdxBL1K4cWbMY7Dv"
	"FMzOAG+NDU\n"
	"dOY3rRvQ1bxH+xPwQAAAANd3JpdC1hcHByb3ZhbAAAAAAAAAAGc2hhNTEyAA"
	"AAUwAAAAtz\n"
	"c2gtZWQyNTUxOQAAAEDRI34yGFdylUI5w6Ge9yHfTWu3h6iLoxhOn9ybqnts"
	"QPbtodQiBk\n"
	"J2dqXysGxQP4i6/2jwF8u61e05w+CV4IoG\n"
	"-----END SSH SIGNATURE-----\n";
