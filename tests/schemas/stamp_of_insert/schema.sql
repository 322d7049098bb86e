-- taskhist.DateTStamp is named like a change stamp and is set on insert only; its SecDateTEdit updates itself and is the key.
CREATE TABLE `taskhist` (
  `TaskHistNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserNumHist` bigint(20) NOT NULL,
  `DateTStamp` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `IsNoteChange` tinyint(4) NOT NULL,
  `TaskNum` bigint(20) NOT NULL,
  `Descript` text NOT NULL,
  `DateTimeEntry` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `DateTimeOriginal` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`TaskHistNum`),
  KEY `DateTStamp` (`DateTStamp`),
  KEY `SecDateTEdit` (`SecDateTEdit`)
) ENGINE=MyISAM;

INSERT INTO `taskhist` (`UserNumHist`, `DateTStamp`, `IsNoteChange`, `TaskNum`, `Descript`)
SELECT 1, '2024-01-01', 0, seq, REPEAT('d', 1000) FROM seq_1_to_1500;
