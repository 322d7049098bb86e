-- A table that refers to itself and tables that refer to each other in a circle are analysed like any other; no table depends on itself, and each of a circle is named once.
-- knowledge: off
CREATE TABLE `zz_person` (
  `ZzPersonNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `ParentZzPersonNum` bigint(20) NOT NULL,
  `ZzTeamNum` bigint(20) NOT NULL,
  PRIMARY KEY (`ZzPersonNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_team` (
  `ZzTeamNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `ZzSiteNum` bigint(20) NOT NULL,
  PRIMARY KEY (`ZzTeamNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_site` (
  `ZzSiteNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `ZzPersonNum` bigint(20) NOT NULL,
  PRIMARY KEY (`ZzSiteNum`)
) ENGINE=MyISAM;
